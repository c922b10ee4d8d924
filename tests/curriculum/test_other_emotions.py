"""Data sets of other emotions and forms go through all phases and the evaluation."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import settings
from tests.data_modules.test_readers import SIX, write_classes, write_csv
from uniemo.cli.commands import run

EXPERIMENT = "experiments/emoset.yaml"


def uniemo(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["uniemo", *arguments])
    run()


def overrides(tiny_files: dict[str, Path], root: Path, runs: Path, **changes: object) -> list[str]:
    values = {
        "data.init_args.root": root, "runs": runs, "model.understanding_epochs": 1,
        "model.sampling.batch_size": 16, "trainer.max_epochs": 2, "trainer.precision": "32-true",
        "trainer.strategy": "auto", "data.init_args.batch_size": 4,
        "generate.n_images": 3, "generate.filter.confidence_threshold": 0,
        "generate.filter.realism_threshold": 0, "generate.filter.neighbours": 1,
        "generate.filter.duplicate_cosine": 1.0, "generate.filter.duplicate_quantile": "null",
        "finetune.epochs": 1, "eval.n_images": 2, "eval.judge": "efficientnet_lite0",
        "eval.judge_size": 32, "eval.fid_features": "efficientnet_lite0",
        "eval.diversity": "efficientnet_lite0", "eval.clarity": "probes",
        "eval.semantic": "efficientnet_lite0", "eval.n_reconstructed": 8,
        "eval.cache": tiny_files["cache"],
    } | changes  # fmt: skip
    return settings(tiny_files, **values)


def write_votes(folder: Path) -> Path:
    rows = []
    write_classes(folder, ("a",), 24)
    for i in range(24):
        rows.append({"path": f"a/{i}.png", "joy": i % 5 + 1, "fear": 3, "scene": f"s{i % 3}"})
    return write_csv(folder / "votes.csv", rows)


@pytest.mark.parametrize("form", ["folder of six", "votes for two"])
def test_all_phases_follow_the_data_sets_emotions(tiny_files, tmp_path, monkeypatch, form) -> None:
    if form == "folder of six":
        names, further = SIX, {"data.init_args.shares": "[0.5, 0.25, 0.25]"}
        root = write_classes(tmp_path / "six", SIX, 8)
    else:
        names = ("joy", "fear")
        further = {"data.init_args.columns": '{"votes": ["joy", "fear"]}'}
        root = write_votes(tmp_path / "votes")
    given = overrides(tiny_files, root, tmp_path / "runs", **further)
    uniemo(monkeypatch, "train", "--experiment", EXPERIMENT, "--phase", "all", *given)
    folder = tmp_path / "runs/emoset"
    saved = torch.load(folder / "finetune/best.ckpt", weights_only=True)
    assert tuple(saved["hyper_parameters"]["emotions"]["names"]) == names
    assert saved["state_dict"]["understanding.emotion_head.output.weight"].shape[0] == len(names)
    assert {path.name for path in (folder / "generate/image").iterdir()} == set(names)

    uniemo(monkeypatch, "eval", "--experiment", EXPERIMENT, *given)
    metrics = json.loads((folder / "eval/metrics.json").read_text())
    assert len(metrics["understanding"]["confusion"]) == len(names)
    assert list(metrics["generation"]["per_emotion"]) == list(names)
    assert f"emo_a_{len(names)}" in metrics["generation"]
    assert "accuracy_polarity" not in metrics["understanding"]  # of six, surprise has none
    assert ("votes_kl" in metrics["understanding"]) == (form == "votes for two")

    # The eight of EmoSet are another data set: refused as the same, measured as another.
    eight = ["--data.init_args.root", str(tiny_files["emoset"])]
    checkpoint = ["--ckpt", str(folder / "finetune/best.ckpt")]
    with pytest.raises(SystemExit):
        uniemo(monkeypatch, "eval", "--experiment", EXPERIMENT, *checkpoint, *given, *eight)
    uniemo(
        monkeypatch, "eval", "--experiment", EXPERIMENT, *checkpoint,
        "--data", str(tiny_files["emoset"]), *given,
    )  # fmt: skip
    found = json.loads((folder / "eval/on/emoset/transfer.json").read_text())
    assert set(found["mapped"]) == set(names) - {"joy", "surprise"}
    assert found["n_images_polarity"] == 16
