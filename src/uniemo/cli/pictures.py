"""``uniemo read``, ``paint``, ``blend`` and ``edit``: a trained model on photos and emotions."""

import argparse
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils.logging import disable_progress_bar
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from uniemo.errors import UserError
from uniemo.pipeline import Reading, UniEmoPipeline
from uniemo.pipeline.emotion_pipeline import EDIT_INTENSITY, STRENGTH
from uniemo.pipeline.photos import attention_picture
from uniemo.pipeline.sources_of_models import SHIPPED
from uniemo.utils.files import write_bytes

if TYPE_CHECKING:
    from uniemo.pipeline import UniEmoPipelineOutput

RUN = "runs/emoscenes"
"""The model that is used if none is named; without it, the one that comes with the package."""


def command_parser(name: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command that uses a trained model.

    Args:
        name: Of the command.
        description: What it does.
        examples: Commands for its help.
    """
    parser = argparse.ArgumentParser(
        prog=f"uniemo {name}",
        description=description,
        epilog="\n".join(["examples:", *(f"  uniemo {name} {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--run",
        default=RUN if Path(RUN).exists() else SHIPPED,
        help="the model: a run's folder, a checkpoint, an exported folder or a hub id; "
        f"default: {RUN}, or else the small model that comes with the package",
    )
    parser.add_argument("--device", help="cpu or cuda; default: cuda if there is one")
    return parser


def open_pipeline(given: argparse.Namespace) -> UniEmoPipeline:
    """Load the model that a command names.

    Raises:
        UserError: If there is none, or the device does not exist.
    """
    disable_progress_bar()
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    pipe = UniEmoPipeline.from_pretrained(given.run)
    try:
        return pipe.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device} cannot be used; give cpu") from error


def read(arguments: list[str]) -> None:
    """Read what photos make people feel: see ``uniemo read --help``."""
    parser = command_parser(
        "read",
        "Read what photos make people feel, and the scene and object it is read from.",
        ["beach.jpg", "*.jpg --json > emotions.json", "beach.jpg --attention maps/"],
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="image files")
    parser.add_argument("--json", action="store_true", help="print JSON with all probabilities")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="DIR",
        help="write where the scene and object queries look, bright on the photo",
    )
    given = parser.parse_args(arguments)
    readings = open_pipeline(given).read(given.photos)
    if given.json:
        rows = zip(given.photos, readings, strict=True)
        print(json.dumps([{"photo": photo, **r.as_dict()} for photo, r in rows], indent=1))
    else:
        Console().print(reading_table(given.photos, readings))
    if given.attention is not None:
        for number, (photo, reading) in enumerate(zip(given.photos, readings, strict=True)):
            for kind in ("scene", "object"):
                maps = getattr(reading, f"{kind}_attention")
                if len(maps):
                    name = f"{number:03d}_{Path(photo).stem}_{kind}.png"
                    write_picture(given.attention / name, attention_picture(photo, maps))


def reading_table(photos: Sequence[str], readings: Sequence[Reading]) -> Table:
    """Return what was read as a table; in parentheses p(emotion | name)."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("photo", "emotion", "probability", "polarity", "scene", "object"):
        table.add_column(name, overflow="fold")
    for photo, reading in zip(photos, readings, strict=True):
        emotion = reading.emotion
        names = [
            "-" if found.name is None else f"{found.name} ({found.coefficients[emotion]:.2f})"
            for found in (reading.scene, reading.object)
        ]
        probability = f"{reading.probabilities[emotion]:.1%}"
        table.add_row(photo, emotion, probability, reading.polarity, *names)
    return table


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG file."""
    content = BytesIO()
    picture.save(content, "png")
    write_bytes(path, content.getvalue())


def add_painting(parser: argparse.ArgumentParser, n: int, intensity: float = 1.0) -> None:
    """Add the arguments of all commands that paint."""
    parser.add_argument("-n", "--number", type=int, default=n, help=f"pictures of each ({n})")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out"), help="folder for them (out)"
    )
    parser.add_argument("--seed", type=int, help="another seed, other pictures; default: the run's")
    parser.add_argument("--prompt", help='where the emotion\'s word stands: "a photo of a * house"')
    parser.add_argument(
        "--intensity",
        type=float,
        default=intensity,
        help=f"0: neutral, or the photo's own; 1: the emotion; up to 2 ({intensity:g})",
    )
    parser.add_argument("--negative", metavar="EMOTION", help="an emotion to guide away from")
    parser.add_argument(
        "--guidance-scale", type=float, help="of classifier-free guidance; default: the run's"
    )
    parser.add_argument("--num-inference-steps", type=int, help="default: the run's")


def painting(given: argparse.Namespace) -> dict[str, Any]:
    """Return the pipeline's arguments that :func:`add_painting` has read."""
    return {
        "num_images": given.number,
        "seed": given.seed,
        "prompt": given.prompt,
        "intensity": given.intensity,
        "negative": given.negative,
        "guidance_scale": given.guidance_scale,
        "num_inference_steps": given.num_inference_steps,
    }


def write_pictures(folder: Path, name: str, output: "UniEmoPipelineOutput") -> None:
    """Write pictures as NAME_000.png and so on; say what each was made from."""
    for number, picture in enumerate(output.images):
        path = folder / f"{name}_{number:03d}.png"
        write_picture(path, picture)
        made_from = [part for part in (output.scenes[number], output.objects[number]) if part]
        print(f"{path}  {', '.join(made_from)}".rstrip(), flush=True)


def paint(arguments: list[str]) -> None:
    """Paint pictures that evoke emotions: see ``uniemo paint --help``."""
    parser = command_parser(
        "paint",
        "Paint pictures that evoke emotions, or what a photo evokes. "
        "Equal arguments give equal pictures; files of the same name are replaced.",
        [
            "awe fear -n 8 -o out/",
            '"awe" --prompt "a photo of a * house" --seed 1',
            "contentment --negative sadness --intensity 1.5",
            "--image beach.jpg",
        ],
    )
    parser.add_argument("emotions", nargs="*", metavar="EMOTION", help="such as awe or sadness")
    parser.add_argument(
        "--image", metavar="PHOTO", help="paint from the features of this photo, not drawn ones"
    )
    add_painting(parser, 4)
    given = parser.parse_args(arguments)
    if not given.emotions and given.image is None:
        raise UserError("there is nothing to paint; give emotions, or --image PHOTO")
    pipe = open_pipeline(given)
    for emotion in given.emotions:
        pipe.weights(emotion)  # all, before the first is painted
    for emotion in given.emotions or [None]:
        output = pipe(emotion, image=given.image, **painting(given))
        parts = [Path(given.image).stem] if given.image else []
        write_pictures(given.output, "_".join([*parts, *([emotion] if emotion else [])]), output)


def blend(arguments: list[str]) -> None:
    """Paint pictures of blended emotions: see ``uniemo blend --help``."""
    parser = command_parser(
        "blend",
        "Paint pictures of a blend of emotions; the weights sum to 1.",
        ["awe=0.6 fear=0.4", "amusement=0.5 disgust=0.5 -n 8 -o out/"],
    )
    parser.add_argument("weights", nargs="+", metavar="EMOTION=WEIGHT", help="such as awe=0.6")
    add_painting(parser, 4)
    given = parser.parse_args(arguments)
    weights = read_weights(given.weights)
    output = open_pipeline(given)(weights, **painting(given))
    write_pictures(given.output, "_".join(f"{name}{w:g}" for name, w in weights.items()), output)


def read_weights(given: Sequence[str]) -> dict[str, float]:
    """Return weights from words such as ``awe=0.6``.

    Raises:
        UserError: If one is written otherwise.
    """
    weights: dict[str, float] = {}
    for word in given:
        name, equals, weight = word.partition("=")
        try:
            value = float(weight)
        except ValueError:
            equals = ""
        if not equals or name in weights:
            raise UserError(f"{word!r} is no new weight; write each emotion once, as in awe=0.6")
        weights[name] = value
    return weights


def edit(arguments: list[str]) -> None:
    """Give a photo another emotion: see ``uniemo edit --help``."""
    parser = command_parser(
        "edit",
        "Give a photo another emotion: its centre square is partly painted anew.",
        ["beach.jpg sadness", "beach.jpg fear --strength 0.7 -n 4 -o out/"],
    )
    parser.add_argument("photo", metavar="PHOTO", help="an image file")
    parser.add_argument("emotion", metavar="EMOTION", help="such as awe or sadness")
    parser.add_argument(
        "--strength",
        type=float,
        default=STRENGTH,
        help=f"0 to 1: how much is painted anew ({STRENGTH})",
    )
    add_painting(parser, 1, EDIT_INTENSITY)
    given = parser.parse_args(arguments)
    pipe = open_pipeline(given)
    output = pipe.edit(given.photo, given.emotion, given.strength, **painting(given))
    write_pictures(given.output, f"{Path(given.photo).stem}_{given.emotion}", output)
