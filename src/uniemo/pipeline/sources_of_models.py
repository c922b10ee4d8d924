"""Where a trained model lies: a run, a checkpoint, an exported folder, a hub id."""

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from uniemo.errors import UserError, first_line
from uniemo.model import UniEmo, load_model
from uniemo.model.saving import BEST
from uniemo.utils.files import read_json
from uniemo.utils.sources import resolve

SHIPPED = "package:pipeline/weights"
"""The small trained model that comes with the package."""

INDEX = "model_index.json"  # diffusers' name for what a folder's parts are
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
DOWNLOAD = ("revision", "cache_dir", "token", "local_files_only", "force_download")
"""Arguments of ``from_pretrained`` that say how to download."""


class TrainedModel(NamedTuple):
    """A model of a checkpoint, and what was measured of it."""

    model: UniEmo
    metrics: dict[str, Any]


def find_model(source: str | Path, how: dict[str, Any]) -> Path | TrainedModel:
    """Find a model: return a folder in diffusers' layout, or the model of a checkpoint.

    Args:
        source: A run, a phase of it, a checkpoint, an exported folder, a hub id.
        how: Arguments of ``from_pretrained``; those of a download are taken out.

    Raises:
        UserError: If there is none, or a checkpoint is given arguments.
    """
    download = {key: how.pop(key) for key in DOWNLOAD if key in how}
    path = Path(resolve(str(source))).expanduser()
    if path.is_dir() and (path / INDEX).is_file():
        return path
    checkpoint = _checkpoint(path)
    if checkpoint is not None:
        if unknown := [*how, *download]:
            raise UserError(f"a checkpoint takes no {unknown[0]}; call .to(...) afterwards")
        return TrainedModel(load_model(checkpoint), run_metrics(checkpoint))
    if path.exists():
        raise UserError(
            f"{source} holds neither {BEST} nor joint/{BEST} nor {INDEX}; "
            "give a run, a checkpoint or an exported folder"
        )
    if not HUB_ID.fullmatch(str(source)):
        raise UserError(f"model {source} does not exist; train one first, or give another path")
    return _download(str(source), download)


def _checkpoint(path: Path) -> Path | None:
    if path.is_file():
        return path
    found = (path / place for place in (f"joint/{BEST}", BEST))
    return next((place for place in found if place.is_file()), None)


def _download(repo_id: str, how: dict[str, Any]) -> Path:
    try:
        folder = Path(snapshot_download(repo_id, **how))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"model {repo_id} is no folder here, and cannot be downloaded ({first_line(error)})"
        ) from error
    if not (folder / INDEX).is_file():
        raise UserError(f"{repo_id} on the hub holds no {INDEX}; give a model of uniemo")
    return folder


def run_metrics(checkpoint: Path) -> dict[str, Any]:
    """Return what a run has measured of one of its checkpoints; empty if nothing.

    Its own test at the end of the fit, and what ``uniemo eval`` says of this very checkpoint.
    """
    checkpoint = checkpoint.absolute()
    metrics = _last_test(checkpoint.parent)
    evaluated = checkpoint.parents[1] / "eval/metrics.json"
    try:
        report = read_json(evaluated) if evaluated.is_file() else {}
    except json.JSONDecodeError:
        return metrics
    for part, written in (
        ("understanding", report.get("checkpoint")),
        ("generation", report.get("generation", {}).get("checkpoint")),
    ):
        if written and Path(written).parts[-3:] == checkpoint.parts[-3:]:
            own = {k: v for k, v in report[part].items() if isinstance(v, int | float | str)}
            metrics[part] = metrics.get(part, {}) | own
    return metrics


def _last_test(phase: Path) -> dict[str, Any]:
    """Return the test metrics that a fit logged last."""
    tested: dict[str, float] = {}
    for file in sorted(phase.glob("curves/*/metrics.csv")):
        with file.open(newline="") as opened:
            for row in csv.DictReader(opened):
                tested |= {
                    key.removeprefix("test/"): float(value)
                    for key, value in row.items()
                    if key.startswith("test/") and value
                }
    return {"understanding": tested} if tested else {}
