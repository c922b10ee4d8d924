"""The generate phase's second half: encode every image, filter, write the pool.

The pool is a folder in EmoSet's layout whose ``train.json`` lists the kept images. Its
``manifest.parquet`` says of every image what it was made from, how it scored, and why it was kept
or not.

Legend: N images of the pool, M real ones, V validation images, E width of CLIP's image features,
H side of an image.
"""

from pathlib import Path
from typing import NamedTuple

import pyarrow
import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from uniemo.curriculum.image_writer import named
from uniemo.emotions import Emotions
from uniemo.filtering import Candidates, Reason, Reference, Selection, calibrate_temperature
from uniemo.model import UniEmo
from uniemo.utils.data import EmotionData
from uniemo.utils.emoset_files import (
    Annotation,
    SplitRow,
    write_annotation,
    write_info,
    write_split,
)
from uniemo.utils.files import atomic_path, write_table
from uniemo.utils.processes import gathered, share
from uniemo.utils.progress import track
from uniemo.vision.features import FeatureCache, FeatureTable
from uniemo.vision.frozen_clip import frozen_clip
from uniemo.vision.images import EmotionImageFolder, evenly_spaced, read_image
from uniemo.vision.linear_probe import fit_linear_probe

BATCH = 64  # images read at once
SHEET = 12  # images of each emotion on a contact sheet


class ImageReadings(NamedTuple):
    """What frozen CLIP and the trained understanding read from N images; on the CPU."""

    features: Tensor  # [N, E] of the frozen CLIP
    logits: Tensor  # [N, C] of the trained understanding
    scene: Tensor  # [N] long, the scene that is read; -1 without names
    object: Tensor  # [N] long, the object that is read
    brightness: Tensor  # [N] in [0, 1], mean grey level
    colorfulness: Tensor  # [N] in [0, 1], mean saturation (chroma / greatest channel)


class ImageReader:
    """Encodes images with frozen CLIP and the trained understanding, all processes together.

    Args:
        model: The trained model.
        data: Its data module.
        cache: Folder for features of real images.
        device: Where the work is done.
    """

    def __init__(self, model: UniEmo, data: EmotionData, cache: Path, device: torch.device) -> None:
        self.clip = frozen_clip(model.settings.clip, device)
        self.model = model.to(device).eval()
        self.data = data
        self.device = device
        self.features = FeatureCache(data, cache, device)

    def real(self, split: str) -> FeatureTable:
        """Return frozen CLIP's features of a split's images."""
        return self.features.load([self.clip], split)[0]

    @torch.inference_mode()
    def validation_logits(self) -> tuple[Tensor, Tensor]:
        """Return the understanding's logits [V, C] of the validation split, and the labels [V]."""
        batches = [
            (
                batch["index"],
                self.model(batch["clip_image"].to(self.device)).float().cpu(),
                batch["emotion"],
            )
            for batch in self.data.plain_dataloader("val")
        ]
        columns = zip(*gathered(batches), strict=True)
        index, logits, labels = (torch.cat(column) for column in columns)
        return logits[index.argsort()], labels[index.argsort()]

    @torch.inference_mode()
    def read_files(self, paths: list[Path]) -> ImageReadings:
        """Read images on disk, the centre square at the side H that the head generates."""
        rows = []
        size = self.model.painter.diffusion.image_size
        starts = list(share(range(0, len(paths), BATCH)))
        for start in track(starts, "Reading the images", len(starts)):
            batch = [read_image(path, size) for path in paths[start : start + BATCH]]
            image = torch.stack(batch).to(self.device)
            reading = self.model.read(self.clip.network.preprocess(image))
            bases = (self.model.fusion.scene_base, self.model.fusion.object_base)
            queries = (reading.scene, reading.object)
            names = [base.retrieve(query) for base, query in zip(bases, queries, strict=True)]
            high, low = image.amax(dim=1), image.amin(dim=1)  # [B, H, H]
            saturation = (high - low) / high.clamp(min=1e-6)
            tones = image.mean(dim=(1, 2, 3)), saturation.mean(dim=(1, 2))
            read = (self.clip.network(image), reading.logits.float(), *names, *tones)
            rows.append([each.cpu() for each in read])
        return ImageReadings(*(torch.cat(column) for column in zip(*gathered(rows), strict=True)))


class EncodedPool(NamedTuple):
    """A pool as the filter takes it."""

    readings: ImageReadings
    candidates: Candidates
    reference: Reference


def encode_pool(
    model: UniEmo,
    data: EmotionData,
    table: pyarrow.Table,
    folder: Path,
    verifier: str,
    cache: Path,
    device: torch.device,
) -> EncodedPool:
    """Encode a pool and the real images it is compared with, and calibrate the verifier.

    The table has a row per image: ``image`` (path in ``folder``, or absolute), ``target``, and
    optionally ``scene`` and ``object``, the names it was made from. The verifier is "understanding"
    or "clip_probe"; for the rest see :class:`ImageReader`.
    """
    reader = ImageReader(model, data, cache, device)
    readings = reader.read_files([folder / path for path in table["image"].to_pylist()])
    train = reader.real("train")
    if verifier == "clip_probe":
        val = reader.real("val")
        probe = fit_linear_probe(
            train.features, train.emotion, len(model.emotions), (val.features, val.emotion)
        )
        logits, held_out, labels = probe(readings.features), probe(val.features), val.emotion
    else:
        logits, (held_out, labels) = readings.logits, reader.validation_logits()
    reference = Reference(train.features, train.emotion, calibrate_temperature(held_out, labels))
    target = torch.tensor(table["target"].to_pylist())
    # An image counts to the scene and object that are read from it.
    candidates = Candidates(readings.features, logits, target, readings.scene, readings.object)
    return EncodedPool(readings, candidates, reference)


def write_pool(
    table: pyarrow.Table, encoded: EncodedPool, selection: Selection, model: UniEmo, folder: Path
) -> None:
    """Write a pool, encoded by :func:`encode_pool` and filtered, into a folder.

    That is ``manifest.parquet``, EmoSet's layout, ``kept.png`` and ``refused.png``.
    """
    readings, scores = encoded.readings, selection.scores
    columns = {
        "read_scene": named(readings.scene, model.fusion.scene_names),
        "read_object": named(readings.object, model.fusion.object_names),
        "confidence": scores.confidence.tolist(),
        "agrees": scores.agrees.tolist(),
        "realism": scores.realism.tolist(),
        "nearest_cosine": scores.nearest_cosine.tolist(),
        "reason": selection.reason_names(),
    }
    manifest = table
    for name, column in columns.items():
        manifest = manifest.append_column(name, pyarrow.array(column))
    write_layout(manifest, readings, model, folder)
    write_table(folder / "manifest.parquet", manifest)
    target = encoded.candidates.target
    for name, wanted in (("kept", selection.kept), ("refused", ~selection.kept)):
        paths: list[list[Path]] = [[] for _ in model.emotions.names]
        for i in wanted.nonzero()[:, 0].tolist():
            paths[int(target[i])].append(folder / manifest["image"][i].as_py())
        write_sheet(paths, model.painter.diffusion.image_size, folder / f"{name}.png")


def write_layout(
    manifest: pyarrow.Table, readings: ImageReadings, model: UniEmo, folder: Path
) -> None:
    """Write ``info.json``, the kept images' annotations and ``train.json``.

    A scene or an object is annotated only where the name read on the image is the one that it was
    made from; what the two disagree on would teach L_S and L_O errors.
    """
    names = {"scene": model.fusion.scene_names, "object": model.fusion.object_names}
    write_info(folder, names, model.emotions)
    rows = []
    for i, image in enumerate(manifest.to_pylist()):
        if image["reason"] != Reason.KEPT.name.lower():
            continue
        scene, object_ = (
            image[f"read_{kind}"] if image.get(kind) == image[f"read_{kind}"] else None
            for kind in ("scene", "object")
        )
        row = SplitRow.of(
            model.emotions.names[image["target"]], Path(image["image"]).stem, image["image"]
        )
        annotation = Annotation(
            round(float(readings.brightness[i]), 3),
            round(float(readings.colorfulness[i]), 3),
            scene,
            [] if object_ is None else [object_],
        )
        write_annotation(folder, row, annotation)
        rows.append(row)
    write_split(folder, "train", rows)


def write_sheet(paths: list[list[Path]], size: int, path: Path) -> None:
    """Write a contact sheet of images H = ``size``: a row for each list, evenly spread over it."""
    sheet = torch.ones(len(paths), SHEET, 3, size, size)
    for row, own in zip(sheet, paths, strict=True):
        for place, image in zip(row, evenly_spaced(own, SHEET), strict=False):
            place.copy_(read_image(image, size))
    with atomic_path(path) as part:
        save_image(make_grid(sheet.flatten(0, 1), nrow=SHEET, padding=2), part, format="png")


def pool_of_folder(images: Path, emotions: Emotions) -> pyarrow.Table:
    """Return the rows of a folder ``<emotion>/*.png|jpg``, by absolute paths.

    Raises:
        UserError: If an emotion has fewer than two images.
    """
    files = EmotionImageFolder(images, emotions, per_emotion=2**31, size=1).files
    target, index, paths = zip(*files, strict=True)
    image = [str(path.resolve()) for path in paths]
    return pyarrow.table({"image": image, "target": target, "index": index})
