"""Every configuration that ships parses, and the default one runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_modules.emoscenes.writer import write_emoscenes
from tests.commands import ROOT, leave, run

PUBLISHED = ROOT / "experiments/published.yaml"
FILES = sorted(path for path in (ROOT / "experiments").rglob("*.yaml") if path != PUBLISHED)


def all_keys(config: dict[str, Any], group: str = "") -> Iterator[str]:
    """Yield every key of a configuration by its full name."""
    for name, value in config.items():
        yield group + name
        if isinstance(value, dict):
            yield from all_keys(value, f"{group}{name}.")


def explanations(printed: str) -> dict[str, str]:
    """Return what the comment above each printed key says beside its type and default."""
    found, parents, comment = {}, [""] * 9, ""
    for line in printed.splitlines():
        if key := re.match(r"((?:  )*)(\w+):", line):
            depth = len(key[1]) // 2
            parents[depth] = key[2]
            text = re.split(r"\((?:required|type|default)\b|<class ", comment)[0].strip()
            found[".".join(parents[: depth + 1])] = text
        comment = f"{comment} {line.strip('# ')}" if line.lstrip().startswith("#") else ""
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_parses_and_its_keys_have_help(path, capsys):
    assert leave("fit", "-c", str(path), "--print_config") == 0
    printed = capsys.readouterr().out
    config = yaml.safe_load(printed)
    assert config["experiment"] == path.stem
    assert config["data"]["class_path"] == "data_modules.EmoSetDataModule"
    del config["trainer"]  # Lightning's own
    assert {"model", "data", "generate", "finetune", "eval", "phase", "runs"} <= config.keys()
    keys = {key for key in all_keys(config) if not key.endswith(("class_path", "init_args"))}
    assert len(keys) > 80
    explained = explanations(printed)
    assert not [key for key in sorted(keys) if not explained[key]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_published_method_goes_over_every_experiment(path, capsys):
    assert leave("fit", "-c", str(path), "-c", str(PUBLISHED), "--print_config") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["experiment"] == path.stem
    changed = yaml.safe_load(PUBLISHED.read_text())["model"]
    for group, values in changed.items():
        assert values.items() <= config["model"][group].items()
    own = yaml.safe_load(path.read_text())["model"]
    assert config["model"]["loss"]["emotion"] == own["loss"]["emotion"]


def test_the_default_runs_one_batch_of_each_kind_on_the_shipped_weights(tmp_path):
    root = write_emoscenes(
        tmp_path / "data/emoscenes", sizes={"train": 64, "val": 16, "test": 16}, processes=1
    )
    done = run(
        *("fit", "-c", str(ROOT / "experiments/emoscenes.yaml")),
        *("--data.init_args.root", str(root), "--data.init_args.num_workers", "0"),
        *("--data.init_args.cache_dir", str(tmp_path / "cache")),
        *("--model.cache", str(tmp_path / "cache"), "--model.understanding_epochs", "0"),
        *("--trainer.fast_dev_run", "1"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert not Path(tmp_path / "runs").exists()
