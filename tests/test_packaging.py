"""The wheel, installed elsewhere, brings everything that the clone has."""

import configparser
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def listed_packages() -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return set(config["options"]["packages"].split())


def test_the_package_list_is_what_the_folders_are():
    found = {"uniemo.experiments"}
    for root, name in ((ROOT / "src/uniemo", "uniemo"), (ROOT / "data_modules", "data_modules")):
        for file in root.rglob("*.py"):
            found.add(".".join([name, *file.parent.relative_to(root).parts]))
    assert listed_packages() == found


def test_the_pins_lie_within_the_ranges():
    from packaging.requirements import Requirement

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    pins = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for line in config["options"]["install_requires"].split("\n"):
        if line:
            requirement = Requirement(line)
            assert requirement.specifier.contains(pins[requirement.name.lower()]), line
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources and install it alone."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "data_modules", "experiments"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(folder / "source")], check=True)
    wheel = next(folder.glob("uniemo-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "-t", str(folder / "site"), wheel], check=True)
    return folder / "site"


def test_without_the_clone_the_wheel_has_configs_weights_and_commands(site, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(site)}
    script = (
        "import uniemo, data_modules, data_modules.emoscenes, uniemo.sources as s, pathlib;"
        f"assert uniemo.__file__.startswith({str(site)!r}), uniemo.__file__;"
        f"assert data_modules.__file__.startswith({str(site)!r});"
        "w = pathlib.Path(s.resolve('package:backbones/weights'));"
        "assert (w / 'clip/open_clip_model.safetensors').is_file();"
        "assert (w / 'stable_diffusion/unet/diffusion_pytorch_model.safetensors').is_file();"
        "assert (w / 'CARD.md').is_file()"
    )
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, timeout=120
    )
    listed = subprocess.run(
        [sys.executable, "-m", "uniemo.cli", "configs"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert "emoscenes" in listed
    assert str(site) in listed
    for script_name in ("uniemo", "lightning"):
        assert (site / "bin" / script_name).is_file()
