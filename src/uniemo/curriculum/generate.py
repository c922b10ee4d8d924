"""The second phase: generate images of every emotion, filter them, keep a pool to learn from."""

from functools import partial
from pathlib import Path

import pyarrow
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from uniemo.config.experiment import Experiment
from uniemo.curriculum.fitting import Run, build_run
from uniemo.curriculum.image_writer import (
    ImageWriter,
    plan_requests,
    prepare_folder,
    read_generated,
    request_settings,
)
from uniemo.curriculum.pool import encode_pool, pool_of_folder, write_pool
from uniemo.curriculum.reporting import print_paths
from uniemo.curriculum.requests import Requests
from uniemo.curriculum.resources import check_images
from uniemo.curriculum.resuming import mark_begun, mark_done, phase_result
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.filtering import Reason, Selection, select
from uniemo.model.checkpoint import read_checkpoint
from uniemo.model.saving import BEST


def run(experiment: Experiment, checkpoint: Path | None = None) -> None:
    """Run the phase.

    1. Generate images of every emotion through Lightning's predict loop, shared out over the
       processes; an interrupted run goes on after its last batch. With ``generate.images`` the
       images of that folder are taken instead.
    2. Encode images and real training images, shared out as well.
    3. Filter, and write the pool in EmoSet's layout, the manifest, and contact sheets.

    The weights are those of ``checkpoint``; None for the joint phase's best ones.

    Raises:
        UserError: If the joint phase has left no weights, or weights without an emotion space.
    """
    folder, config = experiment.phase_folder, experiment.generate
    checkpoint = checkpoint or phase_result(experiment.folder, "joint", BEST)
    trained = read_checkpoint(checkpoint)
    if config.images is None and not trained["state_dict"]["painter.space.moments.count"].all():
        raise UserError(
            f"checkpoint {checkpoint} has no emotion space, because its joint training has not "
            "ended; finish that first (make train PHASE=joint)"
        )
    run = build_run(
        experiment,
        callbacks=[ImageWriter(folder)],
        enable_progress_bar=False,  # the writer counts the images
        logger=experiment.trainer["logger"] or False,
    )
    if run.trainer.is_global_zero:  # before hours of generation
        run.data.prepare_data()
        run.data.setup("fit")
        mark_begun(experiment)
    # 1. Images.
    if config.images is None:
        table = generate_images(run, experiment, checkpoint)
    else:
        run.model.restore(trained)
        table = pool_of_folder(Path(config.images).expanduser(), run.model.emotions)
        folder.mkdir(parents=True, exist_ok=True)
    # 2. Readings.
    if not run.trainer.is_global_zero:
        run.data.setup("fit")
    device = run.trainer.strategy.root_device
    encoded = encode_pool(
        run.model, run.data, table, folder, config.verifier, experiment.cache, device
    )
    # 3. Pool.
    if run.trainer.is_global_zero:
        selection = select(encoded.candidates, encoded.reference, config.filter)
        write_pool(table, encoded, selection, run.model, folder)
        print_selection(selection, encoded.candidates.target, run.model.emotions)
        print_paths(
            ("Pool", folder / "train.json"),
            ("Manifest", folder / "manifest.parquet"),
            ("Kept", folder / "kept.png"),
            ("Refused", folder / "refused.png"),
        )
        mark_done(folder)
    run.trainer.strategy.barrier("pool")  # finetuning reads it on every process


def generate_images(run: Run, experiment: Experiment, checkpoint: Path) -> pyarrow.Table:
    """Generate what is not on disk yet; return the table of all images."""
    folder, config = experiment.phase_folder, experiment.generate
    requests = plan_requests(run.model, config)
    n_images = sum(len(request.emotion) for request in requests)
    check_images(n_images, run.model.painter.diffusion.image_size, folder)
    settings = request_settings(run.model, config, checkpoint, run.trainer.precision)
    run.trainer.predict(
        run.model,
        datamodule=Requests(requests, folder, partial(prepare_folder, folder, settings)),
        return_predictions=False,
        ckpt_path=str(checkpoint),
        weights_only=True,
    )
    run.trainer.strategy.barrier("generated")
    return read_generated(folder, requests)


def print_selection(selection: Selection, target: Tensor, emotions: Emotions) -> None:
    """Print how many images of each emotion [N] were kept, or refused for which reason."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("generated images", no_wrap=True)
    for name in (*(emotion[:4] for emotion in emotions.names), "all"):
        table.add_column(name, justify="right")
    for reason in Reason:
        counts = target[selection.reason == reason].bincount(minlength=len(emotions))
        numbers = [*counts.tolist(), int(counts.sum())]
        table.add_row(reason.name.lower().replace("_", " "), *(f"{n:,}" for n in numbers))
    Console().print(table)
