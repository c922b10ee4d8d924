"""What all tests share: tiny files, written once, and the model built on them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import write_clip, write_emoset, write_stable_diffusion


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An EmoSet tree, a CLIP and a Stable Diffusion, as on a user's disk."""
    root = tmp_path_factory.mktemp("tiny")
    return {
        "emoset": write_emoset(root / "emoset", {"train": 4, "val": 1, "test": 2}),
        "clip": write_clip(root / "clip"),
        "stable_diffusion": write_stable_diffusion(root / "stable_diffusion"),
        "cache": root / "cache",
    }


@pytest.fixture
def gpu() -> torch.device:
    """The CUDA device; the test is skipped without one."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")


def settings(tiny_files: dict[str, Path], **changes: Any) -> list[str]:
    """Command-line overrides that put the tiny files under any experiment."""
    values: dict[str, Any] = {
        "model.clip.model": f"local-dir:{tiny_files['clip']}",
        "model.clip.pretrained": "null",
        "model.diffusion.source": tiny_files["stable_diffusion"],
        "model.diffusion.dtype": "float32",
        "model.model.n_queries": 2,
        "model.cache": tiny_files["cache"],
        "model.sampling.num_inference_steps": 2,
        "data.init_args.root": tiny_files["emoset"],
        "data.init_args.cache_dir": tiny_files["cache"],
        "data.init_args.batch_size": 8,
        "data.init_args.num_workers": 0,
        "trainer.accelerator": "cpu",
        "trainer.devices": 1,
    } | changes
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]
