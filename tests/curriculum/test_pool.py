"""What the filter is told of a pool."""

from pathlib import Path

import pytest
import torch
from torch import distributed

from data_modules import EmoSetDataModule, epoch_sampler
from uniemo.config.model import ClipConfig, ModelConfig, ModelSettings
from uniemo.curriculum import pool
from uniemo.curriculum.pool import ImageReader
from uniemo.model import build_model


def test_shares_of_the_validation_split_make_the_whole_in_order(
    tiny_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = ClipConfig(f"local-dir:{tiny_files['clip']}", None)
    module = build_model(ModelSettings(clip, None, ModelConfig(n_queries=2)))
    data = EmoSetDataModule(
        str(tiny_files["emoset"]), clip_size=16, diffusion_size=8, num_workers=0,
        cache_dir=str(tmp_path),
    )  # fmt: skip
    reader = ImageReader(module, data, tmp_path, torch.device("cpu"))
    expected, labels = reader.validation_logits()
    assert labels.bincount().tolist() == [1] * 8
    monkeypatch.setattr(epoch_sampler, "is_distributed", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    shares: list[list] = []
    monkeypatch.setattr(pool, "gathered", lambda own: shares.append(own) or own)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        reader.validation_logits()
    monkeypatch.setattr(pool, "gathered", lambda own: [*shares[0], *shares[1]])
    logits, own = reader.validation_logits()
    assert torch.equal(own, labels)
    torch.testing.assert_close(logits, expected)
