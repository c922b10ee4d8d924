"""The generate phase's first half: generate the requested images and write them to disk.

Legend: B images of a batch.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from pyarrow import parquet
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torchvision.io import encode_png

from uniemo.batch import Request
from uniemo.config.curriculum import GenerateConfig, PoolConfig
from uniemo.config.experiment import relevant_settings
from uniemo.curriculum.requests import build_requests, finished
from uniemo.curriculum.resuming import DONE
from uniemo.errors import UserError
from uniemo.fusion import Condition
from uniemo.model import UniEmo
from uniemo.utils.files import read_json, write_bytes, write_json, write_table
from uniemo.utils.sources import weights_digest
from uniemo.utils.stopping import stop_signals

WRITTEN = {
    *("annotation", "image", "info.json", "train.json"),  # the pool
    *("kept.png", "refused.png", "manifest.parquet", "painted", "request.json", DONE),
}
"""Names of all that the phase writes into its folder."""


def plan_requests(model: UniEmo, config: GenerateConfig) -> list[Request]:
    """Return all requests: so many images of each emotion, pool by pool."""
    sampling = model.painter.sampling
    alone = PoolConfig(sampling.guidance_scale, sampling.num_inference_steps)
    pools = config.pools or [alone]
    return build_requests(len(model.emotions), config.n_images, pools, sampling.batch_size)


def request_settings(
    model: UniEmo, config: GenerateConfig, checkpoint: Path, precision: str
) -> dict[str, Any]:
    """Return, ready for JSON, all that images depend on: settings, and digests of all weights."""
    with checkpoint.open("rb") as file:
        weights = file_digest(file, "sha256").hexdigest()
    settings = {key: model.hparams[key] for key in ("clip", "diffusion", "model", "space")}
    request = relevant_settings(settings) | {
        "sampling": asdict(model.painter.sampling),
        "weights": weights,
        "stable_diffusion": weights_digest(settings["diffusion"]["source"]),
        "precision": precision,
        "seed": model.settings.seed,
        "n_images": config.n_images,
        "pools": [asdict(pool) for pool in config.pools],
    }
    return json.loads(json.dumps(request))  # tuples become lists, as in the file


def prepare_folder(folder: Path, request: dict[str, Any]) -> None:
    """Empty the phase's folder if its images were made for another request; note this one.

    Raises:
        UserError: If it would have to delete what the phase has not written.
    """
    note = folder / "request.json"
    earlier = read_json(note) if note.is_file() else None
    if earlier != request:
        if earlier is not None:
            print(f"The images in {folder} have other settings; starting anew", flush=True)
        foreign = sorted({path.name for path in folder.glob("*")} - WRITTEN)
        if foreign:
            raise UserError(
                f"{folder} holds {foreign[0]}, which phase generate has not written and would "
                "delete; move it away"
            )
        if folder.is_dir():
            rmtree(folder)
        write_json(note, request)


class ImageWriter(BasePredictionWriter):
    """Write each batch of images as PNG files, then a table of what is on them.

    The table's appearance in the phase's folder is what makes a batch count as finished.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("batch")
        self.folder = folder
        self.progress = Progress(
            TextColumn("Generating"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} images, {task.fields[rate]}"),
            TimeRemainingColumn(),
        )

    def on_predict_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """Show how much this process has to do."""
        dataloader: Any = trainer.predict_dataloaders
        total = sum(len(request.emotion) for request in dataloader.dataset)
        self.task = self.progress.add_task("", total=total, rate="")
        self.started, self.written = time.monotonic(), 0
        stop_signals.postpone()
        if trainer.is_global_zero:
            self.progress.start()

    def on_predict_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Leave the line as it is; stop at once from now on."""
        self.progress.stop()
        stop_signals.allow()

    def _write_image(self, path: str, image: Tensor) -> None:
        """Write one image [3, H, H] uint8."""
        write_bytes(self.folder / path, encode_png(image).numpy().tobytes())

    def write_on_batch_end(
        self,
        trainer: Trainer,
        module: Any,
        prediction: tuple[Tensor, Condition],
        batch_indices: Any,
        batch: Request,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write one batch."""
        image, condition = prediction
        grey = (image * 255).round().to(torch.uint8).cpu()  # [B, 3, H, H]
        emotion, index = batch.emotion.tolist(), batch.image_index.tolist()
        names = [module.emotions.names[label] for label in emotion]
        paths = [f"image/{e}/{e}_{k:06d}.png" for e, k in zip(names, index, strict=True)]
        with ThreadPoolExecutor() as threads:  # all images are there before the table is
            list(threads.map(self._write_image, paths, grey))
        rows = {
            "image": paths,
            "target": emotion,
            "index": index,
            "seed": [module.settings.seed] * len(paths),
            "guidance_scale": [float(batch.guidance_scale)] * len(paths),
            "num_inference_steps": [int(batch.num_inference_steps)] * len(paths),
            "scene": named(condition.scene, module.fusion.scene_names),
            "object": named(condition.object, module.fusion.object_names),
            "alpha_scene": condition.alpha_scene.float().tolist(),
            "alpha_object": condition.alpha_object.float().tolist(),
        }
        write_table(finished(self.folder, batch.number), pyarrow.table(rows))
        self.written += len(paths)
        rate = self.written / (time.monotonic() - self.started)
        self.progress.update(self.task, completed=self.written, rate=f"{rate:.1f} images/s")
        stop_signals.check()


def read_generated(folder: Path, requests: list[Request]) -> pyarrow.Table:
    """Return one row per generated image, emotion by emotion."""
    tables = [parquet.read_table(finished(folder, request.number)) for request in requests]
    return pyarrow.concat_tables(tables).sort_by([("target", "ascending"), ("index", "ascending")])


def named(index: Tensor, names: list[str]) -> list[str | None]:
    """Return the names of indices [B]; None for what has no name."""
    return [names[i] if 0 <= i < len(names) else None for i in index.tolist()]
