"""A tiny trained model: in memory, as a run on disk, and as a pipeline."""

from pathlib import Path

import pytest
from PIL import Image

from tests.tiny import save_run, trained_tiny_model
from uniemo.model import UniEmo
from uniemo.pipeline import UniEmoPipeline


@pytest.fixture(scope="session")
def trained(tiny_files: dict[str, Path]) -> UniEmo:
    return trained_tiny_model(tiny_files)


@pytest.fixture(scope="session")
def run(trained: UniEmo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder that holds the checkpoint of the joint phase."""
    return save_run(trained, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def pipe(run: Path) -> UniEmoPipeline:
    pipe = UniEmoPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def photo(tiny_files: dict[str, Path]) -> Path:
    """A photo that is not square."""
    path = sorted((tiny_files["emoset"] / "image/awe").glob("*.jpg"))[0]
    assert len(set(Image.open(path).size)) == 2
    return path
