"""Parameter groups and learning rates of the two stages (docs/method.md, "Published settings")."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from uniemo.config.model import OptimizerConfig, StageRates

GROUPS = {
    "visual": ("understanding.chain.visual",),
    "queries": ("understanding.chain.scene_queries", "understanding.chain.object_queries"),
    "heads": (
        "understanding.emotion_head",
        "understanding.scene_projection",
        "understanding.object_projection",
        "understanding.scene_scale",
        "understanding.object_scale",
        "fusion.evidence",
    ),
    "mappers": ("fusion.emotion_mapper", "fusion.scene_mapper", "fusion.object_mapper"),
}
"""Which parts of the model each group of :class:`StageRates` holds."""

_NEVER_DECAYED = ("class_embedding", "positional_embedding", ".tokens", ".logarithm")


def trained_parameters(module: nn.Module) -> Iterator[tuple[str, str, nn.Parameter]]:
    """Yield (group, name, weight) of everything that some stage may train."""
    for name, parameter in module.named_parameters():
        for group, prefixes in GROUPS.items():
            if name.startswith(prefixes) and name != "understanding.chain.visual.proj":
                yield group, name, parameter


def parameter_groups(
    module: nn.Module, config: OptimizerConfig, stages: tuple[StageRates, StageRates]
) -> list[dict[str, Any]]:
    """Return AdamW's groups: each of :data:`GROUPS` with and without weight decay.

    Biases, norms, embeddings and query tokens are not decayed. A group that no stage trains is left
    out.
    """
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for group, name, parameter in trained_parameters(module):
        if max(getattr(rates, group) for rates in stages) > 0:
            decayed = parameter.ndim > 1 and not name.endswith(_NEVER_DECAYED)
            groups.setdefault((group, decayed), []).append(parameter)
    decay = dict.fromkeys(GROUPS, config.weight_decay) | {"visual": config.weight_decay_visual}
    return [
        {
            "params": parameters,
            "group": group,
            "name": group if decayed else f"{group}, undecayed",
            "weight_decay": decay[group] if decayed else 0.0,
        }
        for (group, decayed), parameters in groups.items()
    ]


def adamw(groups: list[dict[str, Any]], fused: bool) -> torch.optim.AdamW:
    """Return AdamW for parameter groups, at rate 1: :func:`stage_schedule` sets theirs.

    Args:
        groups: From :func:`parameter_groups`.
        fused: Whether one kernel updates all weights, which GPUs do faster.
    """
    return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), fused=fused)


def stage_rate(
    stages: tuple[StageRates, StageRates],
    warmup: float,
    group: str,
    step: int,
    split: int,
    total: int,
) -> float:
    """Return a group's learning rate at a step: per stage, a linear rise, then a cosine to zero.

    Args:
        stages: Peak rates of both stages.
        warmup: Share of a stage over which its rates rise.
        group: One of :data:`GROUPS`.
        step: Optimiser steps taken so far.
        split: Steps of the first stage.
        total: Steps of both.
    """
    rates = stages[0] if step < split else stages[1]
    start, length = (0, split) if step < split else (split, total - split)
    done, rise = step - start, max(warmup * length, 1)
    if done < rise:
        share = (done + 1) / (rise + 1)
    else:
        share = 0.5 * (1 + math.cos(math.pi * min((done - rise) / max(length - rise, 1), 1)))
    return share * getattr(rates, group)


def stage_schedule(
    optimizer: torch.optim.Optimizer,
    stages: tuple[StageRates, StageRates],
    warmup: float,
    split: int,
    total: int,
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the schedule of all groups; the optimiser's own rate must be 1."""

    def rate_of(group: str) -> Any:
        return lambda step: stage_rate(stages, warmup, group, step, split, total)

    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, [rate_of(group["group"]) for group in optimizer.param_groups]
    )
