"""A Stable-Diffusion folder of 60,000 random weights, in the layout of the real ones."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from tests.tiny import write_stable_diffusion
from uniemo.diffusion import StableDiffusion


@pytest.fixture(autouse=True)
def fixed_randomness() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stable_diffusion(tmp_path_factory.mktemp("epsilon") / "sd")


@pytest.fixture(scope="session")
def head(folder: Path) -> StableDiffusion:
    return StableDiffusion.from_pretrained(str(folder))


@pytest.fixture(scope="session")
def velocity_head(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return StableDiffusion.from_pretrained(
        str(write_stable_diffusion(tmp_path_factory.mktemp("v") / "sd", "v_prediction"))
    )


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
