"""Every configuration that ships parses, and the default one runs."""

import sys
from pathlib import Path

import pytest

from data_modules.emoscenes.writer import write_emoscenes
from tests.test_cli import ROOT, run
from uniemo import cli

FILES = sorted((ROOT / "experiments").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_parses_and_its_keys_have_help(path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lightning", "fit", "-c", str(path), "--print_config"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "understanding_epochs:" in printed
    assert "data_modules.EmoSetDataModule" in printed


def test_the_default_runs_one_batch_of_each_kind_on_the_shipped_weights(tmp_path):
    root = write_emoscenes(
        tmp_path / "data/emoscenes", sizes={"train": 64, "val": 16, "test": 16}, processes=1
    )
    done = run(
        *("fit", "-c", str(ROOT / "experiments/emoscenes.yaml")),
        *("--data.init_args.root", str(root), "--data.init_args.num_workers", "0"),
        *("--data.init_args.cache_dir", str(tmp_path / "cache")),
        *("--model.cache", str(tmp_path / "cache"), "--model.understanding_epochs", "0"),
        *("--model.model.support", "1", "--trainer.fast_dev_run", "1"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert not Path(tmp_path / "runs").exists()
