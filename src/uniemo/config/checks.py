"""What the parser and Lightning take without a word, and fail on later or not at all."""

import math
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from jsonargparse import Namespace

from uniemo.errors import UserError

COUNTS = {
    "max_epochs": 1, "min_epochs": 0, "max_steps": 1, "min_steps": 0, "num_nodes": 1,
    "accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "log_every_n_steps": 0,
    "reload_dataloaders_every_n_epochs": 0, "num_sanity_val_steps": 0, "gradient_clip_val": 0,
}  # fmt: skip
"""The least value of each; -1 means no limit to some of them."""
UNLIMITED = ("max_epochs", "max_steps", "num_sanity_val_steps")
PARTS = (
    "limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches",
    "val_check_interval",
)  # fmt: skip
"""A number of batches, or a share of them."""


def check_finite(config: Namespace) -> None:
    """Check that every number of a configuration is finite.

    Raises:
        UserError: If one is not.
    """
    for key, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key} is {value}; give a finite number")


def check_filled(config: Any, kind: type, group: str) -> None:
    """Check that a group of settings is one, and that no key is null which must not be.

    Args:
        config: The group.
        kind: Its dataclass.
        group: Its name.

    Raises:
        UserError: If it is not.
    """
    if not isinstance(config, Namespace):
        shown = "null" if config is None else f"{config!r:.60}"
        raise UserError(f"key {group!r} is {shown}, but should be a group of keys")
    for name, hint in get_type_hints(kind).items():
        value, kinds = config.get(name), (hint, *get_args(hint))
        if name not in config or (value is None and NoneType in kinds):
            continue
        groups = [each for each in kinds if isinstance(each, type) and is_dataclass(each)]
        if groups and get_origin(hint) is not list:
            check_filled(value, groups[0], f"{group}.{name}")
        elif value is None:
            raise UserError(f"key '{group}.{name}' is null; give a value, or leave it out")


def check_trainer(trainer: Any) -> None:
    """Check the numbers among the settings of Lightning's trainer, before anything is built.

    Raises:
        UserError: If one is out of range.
    """
    for key, least in COUNTS.items():
        value = trainer.get(key)
        unlimited = key in UNLIMITED and value == -1
        if value is not None and not unlimited and not least <= value < math.inf:
            raise UserError(f"trainer.{key} is {value}; give at least {least}")
    for key in PARTS:
        value = trainer.get(key)
        if isinstance(value, int | float) and not (
            0 < value <= 1 if isinstance(value, float) else value >= 1
        ):
            raise UserError(
                f"trainer.{key} is {value}; give a number of batches from 1, or a share above 0 "
                "and up to 1.0"
            )
    if trainer.get("devices") in (0, "0"):
        raise UserError("trainer.devices is 0; give at least 1, or auto")
