"""Trees and data modules for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_modules import EmoSetDataModule
from tests.tiny import write_emoset


@pytest.fixture(scope="session")
def emoset_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that no test changes: 32 training, 8 validation, 16 test images."""
    return write_emoset(
        tmp_path_factory.mktemp("data") / "emoset", {"train": 4, "val": 1, "test": 2}
    )


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """A tree for a test to break: 8 images per split."""
    return write_emoset(tmp_path / "emoset", {"train": 1, "val": 1, "test": 1})


@pytest.fixture(scope="session")
def pool_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of 8 generated images."""
    return write_emoset(tmp_path_factory.mktemp("pool") / "kept", {"train": 1}, seed=1)


@pytest.fixture(scope="session")
def arrow_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrow")


@pytest.fixture
def data_module(emoset_root: Path, arrow_cache: Path) -> Callable[..., EmoSetDataModule]:
    """Build a data module on the shared tree; keywords override its settings."""

    def build(**settings: object) -> EmoSetDataModule:
        defaults = {
            "root": str(emoset_root),
            "cache_dir": str(arrow_cache),
            "batch_size": 6,
            "eval_batch_size": 6,
            "clip_size": 16,
            "diffusion_size": 24,
            "num_workers": 0,
        }
        return EmoSetDataModule(**(defaults | settings))  # type: ignore[arg-type]

    return build
