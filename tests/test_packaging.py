"""The wheel, installed elsewhere, brings everything that the clone has."""

import ast
import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
EXTRAS = CONFIG["options.extras_require"]
DISTRIBUTIONS = packages_distributions()


def requirements(lines: str) -> dict[str, Requirement]:
    """Return the requirements of one option of setup.cfg by their names."""
    found = [Requirement(line) for line in lines.split("\n") if line]
    return {requirement.name.lower().replace("_", "-"): requirement for requirement in found}


def test_the_environment_has_this_clone_installed():
    import uniemo

    message = "the environment serves another clone; run make install, or give each its own VENV"
    assert Path(uniemo.__file__) == ROOT / "src/uniemo/__init__.py", message


def test_the_package_list_is_what_the_folders_are():
    found = {"uniemo.experiments"}
    for root, name in ((ROOT / "src/uniemo", "uniemo"), (ROOT / "data_modules", "data_modules")):
        for file in root.rglob("*.py"):
            found.add(".".join([name, *file.parent.relative_to(root).parts]))
    assert set(CONFIG["options"]["packages"].split()) == found


def test_the_pins_lie_within_the_ranges():
    lines = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    ranges = requirements(CONFIG["options"]["install_requires"]) | requirements(EXTRAS["test"])
    for name, requirement in ranges.items():
        assert requirement.specifier.contains(pins[name]), requirement


# These need an extra; elsewhere only a function may import what a plain install lacks.
ROOMS = {
    "src/uniemo/evaluation": "eval",
    "src/uniemo/study": "study",
    "src/uniemo/dials": "eval",
    "src/uniemo/app": "app",
    "data_modules/emoscenes": "emoscenes",
}


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the distributions of other people's modules that these statements import."""
    modules = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    names = {module.split(".")[0] for module in modules} - {"uniemo", "data_modules"}
    return {
        DISTRIBUTIONS.get(name, [name])[0].lower().replace("_", "-")
        for name in names - sys.stdlib_module_names
    }


def test_code_imports_only_what_its_extra_installs():
    plain = set(requirements(CONFIG["options"]["install_requires"]))
    extras = {extra: set(requirements(EXTRAS[extra])) for extra in ROOMS.values()}
    for root in ("src/uniemo", "data_modules"):
        for file in (ROOT / root).rglob("*.py"):
            tree = ast.parse(file.read_text())
            room = next((ROOMS[r] for r in ROOMS if file.is_relative_to(ROOT / r)), None)
            assert imported(tree.body) <= plain | extras.get(room, set()), file
            assert imported(ast.walk(tree)) <= plain.union(*extras.values()), file


def test_importing_the_package_is_quick_and_sets_nothing():
    script = (
        "import os, sys; before = dict(os.environ); import uniemo; assert os.environ == before;"
        "assert not {'torch', 'numpy', 'lightning'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


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


def run(site: Path, folder: Path, program: str, *arguments: str) -> str:
    """Run a command of the wheel elsewhere, in a home of its own; return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(site), "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    environment.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_clone_the_wheel_has_code_configs_and_weights(site, tmp_path):
    script = (
        "import uniemo, data_modules, data_modules.emoscenes, uniemo.utils.sources as s, pathlib;"
        f"assert uniemo.__file__.startswith({str(site)!r}), uniemo.__file__;"
        f"assert data_modules.__file__.startswith({str(site)!r});"
        "w = pathlib.Path(s.resolve('package:backbones/weights'));"
        "assert (w / 'clip/open_clip_model.safetensors').is_file();"
        "assert (w / 'stable_diffusion/unet/diffusion_pytorch_model.safetensors').is_file();"
        "assert (w / 'CARD.md').is_file();"
        "import sys; sys.argv[1:] = ['configs']; from uniemo.cli import main; main()"
    )
    listed = run(site, tmp_path, sys.executable, "-c", script)
    assert str(site / "uniemo/experiments/emoscenes.yaml") in listed
    shipped, own = site / "uniemo/experiments", ROOT / "experiments"
    files = {path.relative_to(own) for path in own.rglob("*.yaml")}
    assert {path.relative_to(shipped) for path in shipped.rglob("*.yaml")} == files
    for name in files:
        assert (shipped / name).read_bytes() == (own / name).read_bytes(), name


def test_without_the_clone_the_same_commands_work_with_the_same_configs(site, tmp_path):
    uniemo, lightning = (str(site / "bin" / name) for name in ("uniemo", "lightning"))
    printed = run(site, tmp_path, lightning, "fit", "-c", "emoscenes", "--print_config")
    assert "understanding_epochs:" in printed
    assert "class_path: data_modules.EmoSetDataModule" in printed

    sizes = ("--train", "64", "--val", "16", "--test", "16")
    root = ("--root", "elsewhere")
    run(site, tmp_path, uniemo, "data", "emoscenes", *root, *sizes, "--processes", "1")
    run(
        *(site, tmp_path, lightning, "fit", "-c", "experiments/emoscenes.yaml"),
        *("--data.init_args.root", "elsewhere", "--data.init_args.num_workers", "0"),
        *("--model.understanding_epochs", "0"),
        *("--trainer.accelerator", "cpu", "--trainer.fast_dev_run", "1"),
    )
    assert not (tmp_path / "runs").exists()
