"""Bad settings, each by name: how it is made, and what its one line must hold."""

from pathlib import Path

import pytest
from jsonargparse._common import parsing_settings

from tests.commands import ROOT, fail, leave
from tests.conftest import settings
from uniemo.cli.commands import COMMANDS
from uniemo.config.experiment import Experiment
from uniemo.config.parser import Parser
from uniemo.errors import UserError

MINI = str(ROOT / "experiments/emoscenes.yaml")

FLAGS = {
    # keys and types
    "unknown key": ("model.model.n_querys", "3", ["model.model.n_queries"]),
    "unknown key of the data": ("data.init_args.rot", "x", ["data.init_args.root"]),
    "text for a number": ("model.model.n_queries", "abc", ["abc", "whole number"]),
    "text for the seed": ("seed_everything", "abc", ["seed_everything", "abc", "whole number"]),
    "text for a number of the data": ("data.init_args.batch_size", "abc", ["batch_size", "abc"]),
    "text for a number of the trainer": ("trainer.max_epochs", "x", ["whole number"]),
    "unknown choice": ("model.model.queries", "foo", ["'both', 'scene'"]),
    "unknown number format": (
        "model.diffusion.dtype", "int8", ["model.diffusion.dtype", "int8", "'float32'"],
    ),
    "number for a group": ("model.diffusion", "3", ["model.diffusion"]),
    "null for a group": ("model.loss", "null", ["model.loss", "null", "group"]),
    "list for a group": ("model", "[1]", ["model", "[1]", "group"]),
    "number for a list": ("generate.pools", "3", ["generate.pools", "list"]),
    "text in a list": ("generate.pools", "[{guidance_scale: a}]", ["guidance_scale", "number"]),
    "nested without end": ("model.loss", "[" * 3000, ["model.loss"]),
    # ranges
    "not a number": ("model.loss.scene", ".nan", ["model.loss.scene", "nan"]),
    "infinite rate": ("model.optimizer.joint.queries", ".inf", ["inf"]),
    "infinite guidance": ("model.sampling.guidance_scale", ".inf", ["guidance_scale", "inf"]),
    "negative weight": ("model.loss.emotion", "-1", ["model.loss.emotion", "-1"]),
    "negative rate": ("model.optimizer.joint.queries", "-1", ["queries", "-1"]),
    "negative decay": ("model.optimizer.weight_decay", "-1", ["weight_decay", "-1"]),
    "warm-up longer than all": ("model.optimizer.warmup", "2", ["warmup", "2", "0 to 1"]),
    "negative seed": ("seed_everything", "-1", ["seed_everything", "-1"]),
    "no queries": ("model.model.n_queries", "0", ["model.model.n_queries", "at least 1"]),
    "negative support": ("model.model.support", "-1", ["model.model.support", "at least 0"]),
    "all dropped out": ("model.model.dropout", "1", ["model.model.dropout", "below 1"]),
    "no image at once": ("model.diffusion.images_at_once", "0", ["images_at_once", "at least 1"]),
    "no axis": ("model.space.rank", "0", ["model.space.rank", "at least 1"]),
    "negative jitter": ("model.space.jitter", "-1", ["model.space.jitter", "at least 0"]),
    "no budget": ("generate.filter.budget", "0", ["filter budget", "at least 1"]),
    "negative weight of a kept image": ("finetune.weight", "-1", ["finetune.weight", "-1"]),
    "negative epochs": ("model.understanding_epochs", "-1", ["understanding_epochs", "-1"]),
    "sentence without a hole": ("model.clip.scene_template", "x", ["scene_template", "{}"]),
    "sentence with two holes": ("model.clip.object_template", "{} {}", ["object_template", "once"]),
    "sentence with a named hole": ("model.clip.scene_template", "{a} {}", ["scene_template"]),
    # the trainer
    "no epoch": ("trainer.max_epochs", "0", ["trainer.max_epochs", "at least 1"]),
    "negative epochs of the trainer": ("trainer.max_epochs", "-3", ["trainer.max_epochs", "-3"]),
    "no device": ("trainer.devices", "0", ["trainer.devices", "at least 1"]),
    "no node": ("trainer.num_nodes", "0", ["trainer.num_nodes", "at least 1"]),
    "nothing accumulated": ("trainer.accumulate_grad_batches", "0", ["accumulate_grad_batches"]),
    "negative clipping": ("trainer.gradient_clip_val", "-1", ["trainer.gradient_clip_val"]),
    "negative limit": ("trainer.limit_train_batches", "-1", ["limit_train_batches", "-1"]),
    "share above one": ("trainer.limit_val_batches", "1.5", ["limit_val_batches", "1.5"]),
    "never validated": ("trainer.check_val_every_n_epoch", "0", ["check_val_every_n_epoch"]),
    # classes
    "class that does not exist": (
        "data.class_path", "data_modules.Foo", ["data.class_path", "data_modules.Foo", "no attr"],
    ),
    "class of another kind": ("data.class_path", "uniemo.model.UniEmo", ["LightningDataModule"]),
    "class of any module": ("data.class_path", "tests.evil.Data", ["tests.evil", "--trust-config"]),
    "callback of any module": (
        "trainer.callbacks", "[{class_path: tests.evil.Call}]", ["tests.evil", "--trust-config"],
    ),
    "function of the system": ("trainer.logger", "os.system", ["os.system", "--trust-config"]),
    "code from elsewhere": ("trainer.logger", "torch.hub.load", ["torch.hub", "--trust-config"]),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), FLAGS.values(), ids=FLAGS)
def test_a_bad_flag_is_told_in_one_line(key, value, words):
    with pytest.raises(UserError) as error:
        Experiment.read(MINI, [f"--{key}", value])
    assert_one_line(str(error.value), words)


def assert_one_line(line: str, words: list[str]) -> None:
    assert len(line.splitlines()) == 1
    assert len(line) < 400
    assert all(word in line for word in words), line


FILES = {
    "no text": (b"\xff\xfe\x00", ["utf-8"]),
    "NUL": (b"\x00", ["special characters"]),
    "empty": (b"", ["no keys"]),
    "a list": (b"[1, 2]\n", ["no keys"]),
    "cut off": (b"model:\n  - [", ["line 2"]),
    "unknown alias": (b"model: *b\n", ["line 1", "undefined alias"]),
    "a Python object": (b"x: !!python/object/apply:os.getcwd []\n", ["line 1"]),
    "nested without end": (b"x: " + b"[" * 5000 + b"]" * 5000, ["recursion"]),
    "too long": (b"#" * 1_000_001, ["bytes"]),
    "group that is null": (b"model: null\n", ["'model'", "group"]),
    "group that is a list": (b"trainer: []\n", ["'trainer'", "group"]),
    "inner group that is a list": (b"model:\n  loss: [1]\n", ["loss"]),
    "inner group that is null": (b"model:\n  optimizer: null\n", ["optimizer"]),
    "unknown inner key": (b"model:\n  loss:\n    sene: 0.1\n", ["sene", "model.loss.scene"]),
    "a name that is a list": (b"experiment: [1]\n", ["experiment"]),
    "a folder that is null": (b"runs: null\n", ["runs"]),
    "source that is null": (b"model:\n  diffusion:\n    source: null\n", ["source"]),
    "a module that would be run": (b"data:\n  class_path: evil.X\n", ["evil.X", "--trust-config"]),
}


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_a_bad_configuration_is_told_in_one_line(content, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        Experiment.read(MINI, ["--config", str(path)])
    assert_one_line(str(error.value), words)


BUILT = {
    # what the data module and the trainer say once they are built
    "no image in a batch": ({"data.init_args.batch_size": 0}, ["batch_size", "1 or more"]),
    "negative workers": ({"data.init_args.num_workers": -1}, ["num_workers", "-1"]),
    "fraction above one": ({"data.init_args.fraction": 2}, ["fraction", "up to 1"]),
    "unknown strategy": ({"trainer.strategy": "foo"}, ["strategy", "foo"]),
    "unknown accelerator": ({"trainer.accelerator": "quantum"}, ["accelerator", "quantum"]),
    "unknown clipping": (
        {"trainer.gradient_clip_algorithm": "foo"}, ["gradient_clip_algorithm", "foo"],
    ),
    "half precision": ({"trainer.precision": "bf16-true"}, ["trainer.precision", "bf16-mixed"]),
    "missing data": ({"data.init_args.root": "nowhere"}, ["nowhere", "EmoSet's layout"]),
    "missing Stable Diffusion": ({"model.diffusion.source": "no_head"}, ["no_head", "hub id"]),
    "missing CLIP": ({"model.clip.model": "local-dir:none"}, ["none", "hf-hub:", "local-dir:"]),
    "missing checkpoint": ({"ckpt_path": "nowhere.ckpt"}, ["nowhere.ckpt", "does not exist"]),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BUILT.values(), ids=BUILT)
def test_what_cannot_be_built_is_told_in_one_line(
    changes, words, capsys, tiny_files, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    own = {"trainer.strategy": "auto"} | changes
    paper = str(ROOT / "experiments/emoset.yaml")
    assert_one_line(fail(capsys, "fit", "-c", paper, *settings(tiny_files, **own)), words)
    assert not Path("runs").exists()


def test_a_bug_is_one_line_too_and_its_traceback_is_shown_on_demand(capsys, monkeypatch):
    def broken(_):
        raise KeyError("lost")

    monkeypatch.setitem(COMMANDS, "configs", broken)
    assert leave("configs") == 1
    assert "a bug of uniemo: KeyError: 'lost' (test_bad_settings.py" in capsys.readouterr().err
    assert leave("configs", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_trusted_configuration_names_any_class(capsys, monkeypatch):
    monkeypatch.setitem(parsing_settings, "import_path_verdicts", {})  # as in a new process
    monkeypatch.setattr(Parser, "trusted", False)
    arguments = ["fit", "-c", MINI, "--data.class_path", "tests.evil.Data", "--print_config"]
    assert "no attribute 'evil'" in fail(capsys, *arguments, "--trust-config")
