"""The second phase: paint images of every emotion, filter them, and keep a pool to learn from."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning import Trainer
from rich.console import Console
from rich.table import Table

from uniemo.config.phases import GenerateConfig
from uniemo.curriculum.images import ImageWriter, clear, order, plan, read_painted
from uniemo.curriculum.pool import encode_pool, pool_of_folder, write_pool
from uniemo.curriculum.reporting import print_paths
from uniemo.curriculum.requests import Requests
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError
from uniemo.filtering import Reason, Selection, select
from uniemo.model.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from uniemo.model.uniemo import UniEmo


def generate(
    trainer: Trainer,
    module: "UniEmo",
    data: Any,
    checkpoint: Path,
    config: GenerateConfig,
    folder: Path,
    cache: Path,
) -> None:
    """Run the phase through a trainer's predict loop; what is painted already is not painted again.

    Painting is shared out over the trainer's processes; filtering is done by the first.

    Args:
        trainer: Fresh.
        module: The model; its weights are taken from the checkpoint.
        data: The data module of the real pictures.
        checkpoint: Of a joint training that has ended.
        config: How many, how, and which are kept.
        folder: The phase's folder.
        cache: Folder for features of real pictures.

    Raises:
        UserError: If the checkpoint has no emotion space.
    """
    if config.images is not None:
        module.restore(read_checkpoint(checkpoint))
        painted = pool_of_folder(Path(config.images).expanduser())
        folder.mkdir(parents=True, exist_ok=True)
    else:
        if not read_checkpoint(checkpoint)["state_dict"]["space.moments.count"].all():
            raise UserError(
                f"checkpoint {checkpoint} has no emotion space, because its joint training has not "
                "ended; finish that first (make train PHASE=joint)"
            )
        requests = plan(module, config)
        asked = order(module, config, checkpoint, trainer.precision)
        trainer.callbacks.append(ImageWriter(folder))  # type: ignore[attr-defined]
        trainer.predict(
            module,
            datamodule=Requests(requests, folder, partial(clear, folder, asked)),
            return_predictions=False,
            ckpt_path=str(checkpoint),
            weights_only=True,
        )
        trainer.strategy.barrier("painted")
        painted = read_painted(folder, requests)
    if trainer.is_global_zero:
        data.prepare_data()
        data.setup("fit")
        device = trainer.strategy.root_device
        examined = encode_pool(module, data, painted, folder, config.verifier, cache, device)
        selection = select(examined.candidates, examined.reference, config.filter)
        write_pool(painted, examined, selection, module, folder)
        print_selection(selection, examined.candidates.target)
        print_paths(
            ("Pool", folder / "train.json"),
            ("Manifest", folder / "manifest.parquet"),
            ("Kept", folder / "kept.png"),
            ("Refused", folder / "refused.png"),
        )
    trainer.strategy.barrier("pool")  # finetuning reads it on every process


def print_selection(selection: Selection, target: torch.Tensor) -> None:
    """Print how many images of each emotion [N] met each end."""
    table = Table("", *(name[:5] for name in EMOTIONS), "all", title="Generated images")
    table.title_justify = "left"
    for reason in Reason:
        counts = target[selection.reason == reason].bincount(minlength=N_EMOTIONS)
        numbers = [*counts.tolist(), int(counts.sum())]
        table.add_row(reason.name.lower().replace("_", " "), *(f"{n:,}" for n in numbers))
    Console().print(table)
