"""Each real stage in small: interrupted, resumed, or already finished."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import open_clip
import pytest
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from uniemo.backbones.autoencoder import AutoencoderStage
from uniemo.backbones.clip import ClipStage
from uniemo.backbones.decoder import DecoderStage
from uniemo.backbones.denoiser import DenoiserStage
from uniemo.backbones.stage import Stage, run
from uniemo.diffusion import StableDiffusion

STEPS = 5
SETTINGS = {"seed": 0, "steps": STEPS, "batch_size": 4, "learning_rate": 1e-2, "warmup": 1}


@pytest.fixture(params=["clip", "autoencoder", "decoder", "denoiser"])
def build(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    clip: open_clip.CLIP,
    clip_config: dict[str, Any],
    head: StableDiffusion,
    tokenizer: CLIPTokenizer,
) -> Callable[[], Stage]:
    """What builds a stage with fresh weights, of tiny networks and two steps an epoch."""
    monkeypatch.setattr(Stage, "steps_per_epoch", 2)
    vae, unet = (copy.deepcopy(part).requires_grad_(True) for part in (head.vae, head.unet))
    for name, part in {
        "clip.model_config": lambda _: copy.deepcopy(clip_config),
        "autoencoder.build": lambda: copy.deepcopy(vae),
        "denoiser.build_unet": lambda: copy.deepcopy(unet),
    }.items():
        monkeypatch.setattr(f"uniemo.backbones.{name}", part)
    trainer = lightning.Trainer
    # A GPU's sums need not come out with the same bits twice.
    monkeypatch.setattr(lightning, "Trainer", lambda **k: trainer(**k | {"accelerator": "cpu"}))
    builders: dict[str, Callable[[], Stage]] = {
        "clip": lambda: ClipStage(tokenizer, **SETTINGS),
        "autoencoder": lambda: AutoencoderStage(**SETTINGS),
        "decoder": lambda: DecoderStage(clip, copy.deepcopy(vae), **SETTINGS),
        "denoiser": lambda: DenoiserStage(clip, head.vae, tokenizer, **SETTINGS),
    }
    return builders[request.param]


class Interrupted(Exception):
    """As a killed process."""


def watch(stage: Stage, monkeypatch: pytest.MonkeyPatch, stop: int | None = None) -> list[int]:
    """Return the steps that a stage takes, as it takes them, and interrupt it before ``stop``."""
    taken: list[int] = []
    plain = stage.loss

    def loss(batch: dict[str, Tensor], batch_index: int) -> Tensor:
        if stage.global_step == stop:
            raise Interrupted
        taken.append(stage.global_step)
        return plain(batch, batch_index)

    monkeypatch.setattr(stage, "loss", loss)
    return taken


def test_an_interrupted_stage_ends_with_the_weights_of_an_uninterrupted_one(
    build: Callable[[], Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = build()
    before = copy.deepcopy(uninterrupted.state_dict())
    run(uninterrupted, tmp_path / "uninterrupted")
    weights = uninterrupted.state_dict()
    for name, parameter in uninterrupted.named_parameters():
        if parameter.requires_grad and parameter.ndim > 1:  # some biases have no effect
            assert not torch.equal(parameter, before[name]), name

    first = build()
    taken = watch(first, monkeypatch, stop=3)
    with pytest.raises(Interrupted):
        run(first, tmp_path / "resumed")
    assert taken == [0, 1, 2]
    for expected in (
        [2, 3, 4],
        [],
    ):  # from the last whole epoch on; and a finished one stays as it is
        again = build()
        taken = watch(again, monkeypatch)
        run(again, tmp_path / "resumed")
        assert taken == expected
        for name, value in again.state_dict().items():
            assert torch.equal(value, weights[name]), name


def test_the_rate_rises_stays_and_falls_over_the_last_third() -> None:
    class Idle(Stage):
        def loss(self, _batch: dict[str, Tensor], _batch_index: int) -> Tensor:
            return torch.zeros(())

    stage = Idle(seed=0, steps=1000, batch_size=1, learning_rate=1.0, warmup=100)
    rates = [stage.rate(step) for step in (0, 49, 99, 700, 850, 1000, 1001)]
    assert rates == pytest.approx([0.01, 0.5, 1, 1, 0.5, 0, 0])
