"""``uniemo export``: words and models for other tools."""

import argparse
from dataclasses import replace
from pathlib import Path

from uniemo.cli.pictures import command_parser, open_pipeline
from uniemo.config.experiment import Experiment
from uniemo.config.model import ClipConfig, DiffusionConfig
from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline
from uniemo.pipeline.conversion import convert_uniemo, published_settings
from uniemo.pipeline.exporting import (
    export_model,
    export_trained,
    mean_word,
    photo_word,
    typical_words,
    write_word,
)
from uniemo.utils.files import write_tensors

USAGE = """usage: uniemo export word EMOTION -o FILE, or uniemo export model -o FOLDER,
       or uniemo export published FOLDER -o FOLDER, or uniemo export judge -o FILE

  word       an emotion's word as a textual-inversion file, for diffusers, ComfyUI and AUTOMATIC1111
  model      the whole model in diffusers' layout, and its tuned CLIP for open_clip
  published  the files of UniEmo's public code as a model of this package
  judge      what says of pictures which emotion they evoke, for the page of uniemo play
"""


def main(arguments: list[str]) -> None:
    """Write files for other tools.

    Raises:
        UserError: If there is no such export, or an argument is wrong.
    """
    match arguments:
        case ["word", *rest]:
            word(rest)
        case ["model", *rest]:
            model(rest)
        case ["published", *rest]:
            published(rest)
        case ["judge", *rest]:
            judge(rest)
        case ["-h" | "--help"]:
            print(USAGE)
        case _:
            raise UserError("give uniemo export word EMOTION, or export model, published or judge")


def word(arguments: list[str]) -> None:
    """Write words as textual-inversion files."""
    parser = command_parser(
        "export word",
        "Write an emotion's word as a textual-inversion file, which every tool of Stable Diffusion "
        "reads that has the text encoder the model was trained with.",
        [
            "awe -o awe.safetensors",
            "awe --typical 3 -o awe.safetensors",
            "--image beach.jpg -o beach.safetensors",
        ],
    )
    parser.add_argument("emotion", nargs="?", metavar="EMOTION", help="such as awe or sadness")
    parser.add_argument("-o", "--output", type=Path, required=True, help="NAME.safetensors")
    parser.add_argument(
        "--typical",
        type=int,
        metavar="N",
        help="not the emotion's mean but the words of its first N pictures, as NAME_000 and so on",
    )
    parser.add_argument("--seed", type=int, help="of those pictures; default: the run's")
    parser.add_argument("--image", metavar="PHOTO", help="the word of a photo")
    given = parser.parse_args(arguments)
    if given.emotion is None and given.image is None:
        raise UserError("there is no word to export; give an emotion, or --image PHOTO")
    if given.typical is not None and given.image is not None:
        raise UserError("give one of --typical and --image")
    output: Path = given.output
    if output.suffix != ".safetensors":
        raise UserError(f"{output} does not end in .safetensors; name it so")
    pipe = open_pipeline(given)
    if given.image is not None:
        words = {output: photo_word(pipe, given.image, given.emotion)}
    elif given.typical is None:
        words = {output: mean_word(pipe, given.emotion)}
    else:
        drawn = typical_words(pipe, given.emotion, given.typical, given.seed)
        words = {output.with_stem(f"{output.stem}_{i:03d}"): w for i, w in enumerate(drawn)}
    for path, tensor in words.items():
        write_word(path, tensor)
        print(f"Wrote {path}")


def model(arguments: list[str]) -> None:
    """Write the whole model."""
    parser = command_parser(
        "export model",
        "Write the model in diffusers' layout (safetensors), with its card, and in open_clip/ its "
        "CLIP with the tuned vision tower.",
        ["-o my-model", "--trained-only -o my-small-model"],
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--capacity",
        type=int,
        metavar="N",
        help="of what was trained alone: features of real images kept for each emotion, which "
        "pictures are drawn from; default: all",
    )
    parser.add_argument(
        "--trained-only",
        action="store_true",
        help="what was trained alone, in half precision: its Stable Diffusion is loaded from where "
        "the training took it, and there is no open_clip/",
    )
    given = parser.parse_args(arguments)
    if given.capacity is not None and not given.trained_only:
        raise UserError("--capacity is of --trained-only alone; give both")
    if given.trained_only:
        export_trained(open_pipeline(given), given.output, given.capacity)
    else:
        export_model(open_pipeline(given), given.output)
    print(f"Wrote {given.output}")


def published(arguments: list[str]) -> None:
    """Convert the files of UniEmo's public code."""
    parser = argparse.ArgumentParser(
        prog="uniemo export published",
        description="Convert the files of UniEmo's public code (best.pth, mapper*.pth and "
        "UniEmo_space/) to a model that every command takes as --run.",
        allow_abbrev=False,
    )
    given_settings = published_settings()
    diffusion = given_settings.diffusion or DiffusionConfig()
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the published files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--clip",
        help="folder (local-dir:PATH) or hub id (hf-hub:ID); default: open_clip's ViT-L/14",
    )
    parser.add_argument(
        "--stable-diffusion",
        default=diffusion.source,
        help=f"folder or hub id ({diffusion.source})",
    )
    given = parser.parse_args(arguments)
    clip = given_settings.clip if given.clip is None else ClipConfig(given.clip, None)
    source = replace(diffusion, source=given.stable_diffusion)
    settings = replace(given_settings, clip=clip, diffusion=source)
    UniEmoPipeline.of(convert_uniemo(given.folder, settings)).save_pretrained(given.output)
    print(f"Wrote {given.output}")


def judge(arguments: list[str]) -> None:
    """Fit the experiment's judge and write its probe of emotions."""
    parser = argparse.ArgumentParser(
        prog="uniemo export judge",
        description="Fit the judge of an experiment, or take it from the cache, and write its "
        "probe of emotions. Any key of the experiment can be given as --key value.",
        allow_abbrev=False,
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="NAME.safetensors")
    given, overrides = parser.parse_known_args(arguments)
    # Here, because a plain install lacks its packages.
    from uniemo.evaluation.evaluator import Evaluator

    experiment = Experiment.read(given.experiment, overrides, "uniemo export judge")
    head = experiment.head()
    data = experiment.data((head.image_size, [0.5] * 3, [0.5] * 3), head.image_size)
    write_tensors(given.output, Evaluator(experiment, data, head).judge.emotion.state_dict())
    print(f"Wrote {given.output}")
