"""Evaluation of a checkpoint on another data set, through a map of its emotions.

Legend: B, N images, C emotions of the model, T emotions of the data set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchmetrics.classification import MulticlassF1Score

from uniemo.config.experiment import Experiment
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.evaluation.summary import percent
from uniemo.metrics import bootstrap_interval
from uniemo.model import load_model
from uniemo.utils.files import read_json, write_json
from uniemo.utils.progress import track

FOLDER = "on"  # of evaluations on other data sets, in the one of an experiment's evaluations
FILE = "transfer.json"


class ClassMap(NamedTuple):
    """Which emotion of a data set each of a model's emotions counts as."""

    model: Emotions
    data: Emotions
    target: tuple[int | None, ...]  # [C] index of the data set's emotion; None for none

    @classmethod
    def of(cls, model: Emotions, data: Emotions, given: Mapping[str, str] | None = None) -> Any:
        """Return the map that is given, model's emotion -> the data set's; or that by equal names.

        Raises:
            UserError: If a name is none of the emotions.
        """
        if given is None:
            given = {name: name for name in model.names if name in data.names}
        for name, other in given.items():
            if name not in model.names or other not in data.names:
                raise UserError(
                    f"the map has {name}: {other}; it goes from the model's emotions ({model}) to "
                    f"the data set's ({data})"
                )
        indices = (data.index(given[name]) if name in given else None for name in model.names)
        return cls(model, data, tuple(indices))

    @property
    def matrix(self) -> Tensor:
        """What the model's probabilities [B, C] are multiplied with: [C, T], 0 or 1."""
        matrix = torch.zeros(len(self.model), len(self.data))
        for row, column in enumerate(self.target):
            if column is not None:
                matrix[row, column] = 1
        return matrix

    def as_dict(self) -> dict[str, Any]:
        """Return what is mapped, and what is left out on either side."""
        pairs = zip(self.model.names, self.target, strict=True)
        mapped = {name: self.data.names[i] for name, i in pairs if i is not None}
        return {
            "mapped": mapped,
            "left_out_of_model": [name for name in self.model.names if name not in mapped],
            "left_out_of_data": [n for n in self.data.names if n not in mapped.values()],
        }


def transfer_metrics(classes: ClassMap, probability: Tensor, emotion: Tensor) -> dict[str, Any]:
    """Measure predictions for another data set.

    A class of the data set has the probabilities of all that is mapped to it; images of classes
    that nothing is mapped to are left out. Polarity is measured on all images whose class has one.

    Args:
        classes: The map.
        probability: [N, C] of the model's emotions.
        emotion: [N] long, of the data set's.
    """
    result: dict[str, Any] = {"n_images": 0, "intervals": {}}
    matrix = classes.matrix
    reached = matrix.any(dim=0)  # [T]
    rows = reached[emotion]  # [N]
    if rows.any() and reached.sum() > 1:
        score = (probability[rows] @ matrix).masked_fill(~reached, -1)  # [n, T]
        predicted, target = score.argmax(dim=1), emotion[rows]
        renumbered = reached.cumsum(0) - 1  # classes that are reached, one after the other
        f1 = MulticlassF1Score(int(reached.sum()), average="macro")
        hit = (predicted == target).double()
        result |= {
            "n_images": int(rows.sum()),
            "n_classes": int(reached.sum()),
            "accuracy": hit.mean().item(),
            "f1_macro": f1(renumbered[predicted], renumbered[target]).item(),
        }
        result["intervals"]["accuracy"] = bootstrap_interval(hit)
    known = torch.tensor([value is not None for value in classes.data.polarity])[emotion]  # [N]
    polar = [i for i, value in enumerate(classes.model.polarity) if value is not None]
    if known.any() and len({classes.model.polarity[i] for i in polar}) == 2:
        own = torch.tensor([classes.model.polarity[i] for i in polar])
        theirs = torch.tensor([-1 if value is None else value for value in classes.data.polarity])
        share = torch.stack([probability[known][:, polar][:, own == p].sum(1) for p in (0, 1)], 1)
        hit = (share.argmax(dim=1) == theirs[emotion[known]]).double()
        result |= {"n_images_polarity": int(known.sum()), "accuracy_polarity": hit.mean().item()}
        result["intervals"]["accuracy_polarity"] = bootstrap_interval(hit)
    if not result["intervals"]:
        raise UserError(
            f"nothing of the model's emotions ({classes.model}) fits the data set's "
            f"({classes.data}); give a map of them with --class-map"
        )
    return result


@torch.inference_mode()
def evaluate_transfer(
    experiment: Experiment, checkpoint: Path, data: str, class_map: Path | None = None
) -> dict[str, Any]:
    """Measure a checkpoint on the test split of another data set, and write it down.

    The results lie in ``runs/EXPERIMENT/eval/on/DATA/transfer.json``; a table of all those of the
    runs' folder, train set by test set, is printed.

    Args:
        experiment: The experiment of the checkpoint.
        checkpoint: The checkpoint.
        data: The data set's folder or file; or a YAML file of the data module's settings.
        class_map: YAML file, model's emotion -> the data set's; None to map equal names.

    Raises:
        UserError: If the data set cannot be read, or nothing fits.
    """
    device = experiment.device
    module = load_model(checkpoint).to(device)
    init = {"root": data, "reader": "auto", "columns": None, "emotions": None, "fraction": 1.0}
    if Path(data).suffix in (".yaml", ".yml"):
        init |= _mapping(Path(data))
    changes = {f"data.init_args.{key}": value for key, value in init.items()}
    other = experiment.changed(changes).data_module(module.clip_view, None)
    other.prepare_data()
    other.setup("test")
    given = None if class_map is None else _mapping(class_map)
    classes = ClassMap.of(module.emotions, other.emotions, given)
    loader = other.test_dataloader()
    parts = [
        (module(batch["clip_image"].to(device)).float().softmax(1).cpu(), batch["emotion"])
        for batch in track(loader, f"Emotion recognition on {init['root']}", len(loader))
    ]
    probability, emotion = (torch.cat(column) for column in zip(*parts, strict=True))
    name = Path(str(init["root"])).resolve().name
    result = {
        "checkpoint": str(checkpoint),
        "trained_on": Path(str(experiment.config.data.init_args.root)).resolve().name,
        "tested_on": name,
        "split": "test",
        **classes.as_dict(),
        **transfer_metrics(classes, probability, emotion),
    }
    write_json(experiment.folder / "eval" / FOLDER / name / FILE, result)
    print_transfer(result, experiment.folder.parent)
    return result


def print_transfer(result: Mapping[str, Any], runs: Path) -> None:
    """Print a result, and the table of all results of a folder of runs."""
    mapped = (f"{name}\N{RIGHTWARDS ARROW}{other}" for name, other in result["mapped"].items())
    print("Mapped: " + (", ".join(mapped) or "nothing, so polarity alone is measured"))
    for side in ("model", "data"):
        if names := result[f"left_out_of_{side}"]:
            print(f"Left out of the {side}: {', '.join(names)}")
    table = Table("trained on", "tested on", box=SIMPLE_HEAD)
    for name in ("classes", "images", "accuracy", "F1, macro", "polarity"):
        table.add_column(name, justify="right")
    for path in sorted(runs.glob(f"*/eval/{FOLDER}/*/{FILE}")):
        row = read_json(path)
        shares = (percent(row.get(key)) for key in ("accuracy", "f1_macro", "accuracy_polarity"))
        numbers = str(row.get("n_classes", "–")), f"{row['n_images']:,}"
        table.add_row(row["trained_on"], row["tested_on"], *numbers, *shares)
    Console().print(table)


def _mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of names and values."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} holds no names and values; write NAME: VALUE, one a line")
    return content
