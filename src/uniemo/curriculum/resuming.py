"""Whether an interrupted phase may go on: only under the settings that it began with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from uniemo.config.experiment import Experiment
from uniemo.utils.fingerprints import relevant_settings

SETTINGS = "config.yaml"  # Lightning writes it into a run's folder
TRAINER = (
    "max_epochs",
    "max_steps",
    "limit_train_batches",
    "accumulate_grad_batches",
    "gradient_clip_val",
)
"""Settings of the trainer that the course of a training depends on."""


def changed_setting(folder: Path, experiment: Experiment) -> str | None:
    """Name a setting of an interrupted run that an experiment would change.

    Args:
        folder: The run's.
        experiment: What is to be run now.

    Returns:
        A key of model, data, seed or trainer; None if all agree.
    """
    note = folder / SETTINGS
    if not note.is_file():
        return SETTINGS
    now = yaml.safe_load(experiment.parser.dump(experiment.config, skip_validation=True))
    began, wanted = (
        dict(_decisive(content)) for content in (yaml.safe_load(note.read_text("utf-8")), now)
    )
    keys = [*wanted, *began]
    return next((key for key in keys if began.get(key) != wanted.get(key)), None)


def _decisive(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings that a training depends on, by their full keys."""
    trainer = {key: config["trainer"].get(key) for key in TRAINER}
    groups = {key: config[key] for key in ("seed_everything", "model", "data")}
    yield from _flat("", relevant_settings(groups | {"trainer": trainer}))


def _flat(prefix: str, content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(f"{prefix}.{key}".lstrip("."), value)
    else:
        yield prefix, content
