"""The generate phase's first half: paint what was asked for, and write it down.

Legend: B images of a batch.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pyarrow
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from pyarrow import parquet
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torchvision.io import encode_png

from uniemo.config.phases import GenerateConfig, PoolConfig
from uniemo.curriculum.requests import Request, build_requests, finished
from uniemo.emotions import EMOTIONS
from uniemo.fusion import Condition
from uniemo.utils.files import write_bytes, write_json, write_table
from uniemo.utils.fingerprints import relevant_settings
from uniemo.utils.sources import weights_digest

if TYPE_CHECKING:
    from uniemo.model.uniemo import UniEmo


def image_path(emotion: int, index: int) -> str:
    """Return where an image lies within the phase's folder."""
    name = EMOTIONS[emotion]
    return f"image/{name}/{name}_{index:06d}.png"


def plan(module: "UniEmo", config: GenerateConfig) -> list[Request]:
    """Return all requests: so many images of each emotion, pool by pool."""
    sampling = module.sampling
    alone = PoolConfig(sampling.guidance_scale, sampling.num_inference_steps)
    return build_requests(config.n_images, config.pools or [alone], sampling.batch_size)


def order(
    module: "UniEmo", config: GenerateConfig, checkpoint: Path, precision: str
) -> dict[str, Any]:
    """Return, ready for JSON, all that images depend on: settings, and digests of all weights."""
    with checkpoint.open("rb") as file:
        weights = file_digest(file, "sha256").hexdigest()
    settings = {key: module.hparams[key] for key in ("clip", "diffusion", "model", "space")}
    asked = relevant_settings(settings) | {
        "sampling": asdict(module.sampling),
        "weights": weights,
        "stable_diffusion": weights_digest(module.diffusion_config.source),
        "precision": precision,
        "seed": module.seed,
        "n_images": config.n_images,
        "pools": [asdict(pool) for pool in config.pools],
    }
    return json.loads(json.dumps(asked))  # tuples become lists, as in the file


def clear(folder: Path, asked: dict[str, Any]) -> None:
    """Clear the phase's folder of images that answer another order than this, and note this one."""
    note = folder / "request.json"
    answered = json.loads(note.read_text("utf-8")) if note.is_file() else None
    if answered != asked:
        if answered is not None:
            print(f"The images in {folder} answer another request; painting anew", flush=True)
        if folder.is_dir():
            rmtree(folder)
        write_json(note, asked)
    for part in folder.rglob("*.part"):  # what an interrupted run was writing
        part.unlink()


class ImageWriter(BasePredictionWriter):
    """Write each batch of images as PNG files, then a table of what is on them.

    The table's appearance is what makes a batch count as finished.

    Args:
        folder: The phase's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("batch")
        self.folder = folder
        self.progress = Progress(
            TextColumn("Painting"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} images, {task.fields[rate]}"),
            TimeRemainingColumn(),
        )

    def on_predict_epoch_start(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Show what this rank has to do."""
        dataloader: Any = trainer.predict_dataloaders
        total = sum(len(request.emotion) for request in dataloader.dataset)
        self.task = self.progress.add_task("", total=total, rate="")
        self.started, self.painted = time.monotonic(), 0
        if trainer.is_global_zero:
            self.progress.start()

    def on_predict_epoch_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Leave the line as it is."""
        self.progress.stop()

    def _write_picture(self, path: str, picture: Tensor) -> None:
        """Write one picture [3, H, H] uint8."""
        write_bytes(self.folder / path, encode_png(picture).numpy().tobytes())

    def write_on_batch_end(
        self,
        trainer: Trainer,
        module: "UniEmo",  # type: ignore[override]
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
        paths = [image_path(*pair) for pair in zip(emotion, index, strict=True)]
        with ThreadPoolExecutor() as threads:  # the pictures are all there before the table is
            list(threads.map(self._write_picture, paths, grey))
        rows = {
            "image": paths,
            "target": emotion,
            "index": index,
            "seed": [module.seed] * len(paths),
            "guidance_scale": [float(batch.guidance_scale)] * len(paths),
            "num_inference_steps": [int(batch.num_inference_steps)] * len(paths),
            "scene": named(condition.scene, module.scene_names),
            "object": named(condition.object, module.object_names),
            "alpha_scene": condition.alpha_scene.float().tolist(),
            "alpha_object": condition.alpha_object.float().tolist(),
        }
        write_table(finished(self.folder, batch.number), pyarrow.table(rows))
        self.painted += len(paths)
        rate = self.painted / (time.monotonic() - self.started)
        self.progress.update(self.task, completed=self.painted, rate=f"{rate:.1f} images/s")


def read_painted(folder: Path, requests: list[Request]) -> pyarrow.Table:
    """Return what was painted, one row per image, emotion by emotion."""
    tables = [parquet.read_table(finished(folder, request.number)) for request in requests]
    return pyarrow.concat_tables(tables).sort_by([("target", "ascending"), ("index", "ascending")])


def named(index: Tensor, names: list[str]) -> list[str | None]:
    """Return the names of indices [B]; None for what has no name."""
    return [names[i] if 0 <= i < len(names) else None for i in index.tolist()]
