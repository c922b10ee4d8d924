"""``uniemo eval``: every metric of the paper by one command."""

import argparse
from pathlib import Path
from typing import get_args

from uniemo.config.evaluation import Protocol
from uniemo.config.experiment import Experiment
from uniemo.errors import UserError


def main(arguments: list[str]) -> None:
    """Evaluate a checkpoint, a folder of images, or Stable Diffusion alone.

    Raises:
        UserError: If an argument is wrong, or something that it needs is missing.
    """
    # jsonargparse cannot pass unknown flags on, and an experiment has a key "experiment" itself.
    parser = argparse.ArgumentParser(
        prog="uniemo eval",
        allow_abbrev=False,
        description="Evaluate understanding and generation; write metrics.json and report.html to "
        "runs/EXPERIMENT/eval. Any key of the experiment, and eval.*, can be given as --key value.",
    )
    parser.add_argument("--experiment", default="experiments/emoscenes.yaml", help="a config file")
    parser.add_argument("--ckpt", type=Path, help="checkpoint; default: the experiment's newest")
    parser.add_argument("--images", type=Path, help="any system's images: <emotion>/*.png|jpg")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="evaluate the experiment's Stable Diffusion alone, with 'an image of {emotion}'",
    )
    parser.add_argument(
        "--protocol",
        choices=get_args(Protocol),
        default="default",
        help="published: add the variants of the published scripts, under their own names",
    )
    parser.add_argument(
        "--data",
        help="another data set to test understanding on; or YAML of a data module's settings",
    )
    parser.add_argument(
        "--class-map",
        type=Path,
        help="YAML for --data, MODEL'S: OTHER'S; default: by name",
    )
    known, overrides = parser.parse_known_args(arguments)
    if sum(map(bool, (known.ckpt, known.images, known.calibrate))) > 1:
        raise UserError("give one of --ckpt, --images and --calibrate")
    if known.data and (known.images or known.calibrate):
        raise UserError("--data tests the understanding of a checkpoint; leave the other out")
    if known.class_map and not known.data:
        raise UserError("--class-map needs --data")
    # Here, because a plain install, which lacks the extra's packages, should show the help too.
    from uniemo.evaluation.evaluate import (
        evaluate_baseline,
        evaluate_checkpoint,
        evaluate_folder,
        newest_checkpoint,
    )
    from uniemo.evaluation.transfer import evaluate_transfer

    experiment = Experiment.read(known.experiment, overrides, "uniemo eval")
    if known.data:
        checkpoint = known.ckpt or newest_checkpoint(experiment.folder)
        evaluate_transfer(experiment, checkpoint, known.data, known.class_map)
    elif known.images:
        evaluate_folder(experiment, known.images, known.protocol)
    elif known.calibrate:
        evaluate_baseline(experiment, known.protocol)
    else:
        evaluate_checkpoint(experiment, known.ckpt, known.protocol)
