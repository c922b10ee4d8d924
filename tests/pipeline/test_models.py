"""Where models are found, what their cards say, and that they travel through the hub."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch

from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline, emotion_pipeline


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing/at/all", "does not exist"),
        ("nothing", "does not exist"),
        ("empty", "neither best.ckpt nor"),
        ("notes.txt", "cannot be read"),
    ],
)
def test_what_is_no_model_is_told_in_one_line(tmp_path, source, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    path = tmp_path / source
    with pytest.raises(UserError) as caught:
        UniEmoPipeline.from_pretrained(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_exported_folder_is_told_in_one_line(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    weights = tmp_path / "model/emotion_model/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError) as caught:
        UniEmoPipeline.from_pretrained(tmp_path / "model")
    assert "cannot be loaded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_takes_no_arguments_of_a_download(run):
    with pytest.raises(UserError, match="takes no revision"):
        UniEmoPipeline.from_pretrained(run, revision="main")


def test_nothing_half_written_is_left(pipe, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(emotion_pipeline, "write_card", fail)
    with pytest.raises(OSError, match="disk full"):
        pipe.save_pretrained(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_card_holds_the_runs_own_metrics(run, tmp_path):
    copytree(run, tmp_path / "runs/tiny")
    own = tmp_path / "runs/tiny"
    (own / "joint/curves/version_0").mkdir(parents=True)
    rows = "epoch,test/accuracy,val/accuracy\n0,,0.5\n1,0.625,\n"
    (own / "joint/curves/version_0/metrics.csv").write_text(rows)
    report = {
        "checkpoint": "runs/tiny/finetune/best.ckpt",
        "understanding": {"accuracy": 0.99},
        "generation": {"checkpoint": "runs/tiny/joint/best.ckpt", "emo_a_8": 0.875},
    }
    (own / "eval").mkdir()
    (own / "eval/metrics.json").write_text(json.dumps(report))
    UniEmoPipeline.from_pretrained(own).save_pretrained(tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text()
    assert "| accuracy, 8 emotions | 0.625 |" in card
    assert "| Emo-A, 8 emotions | 0.875 |" in card
    assert "0.99" not in card  # of another checkpoint
    again = UniEmoPipeline.from_pretrained(tmp_path / "model")
    again.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/README.md").read_text() == card


def test_a_checkpoint_in_this_folder_is_found_by_its_name(run, monkeypatch):
    monkeypatch.chdir(run / "joint")
    assert UniEmoPipeline.from_pretrained("best.ckpt").emotion_model.fusion.scene_names


def test_a_model_of_the_hub_is_loaded_from_its_cache(pipe, tmp_path):
    cache = tmp_path / "hub/models--someone--uniemo"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text("0" * 40)
    pipe.save_pretrained(cache / "snapshots" / ("0" * 40))
    how = {"cache_dir": tmp_path / "hub", "local_files_only": True}
    found = UniEmoPipeline.from_pretrained("someone/uniemo", **how)
    images = [each("awe", output_type="pt").images for each in (found, pipe)]
    torch.testing.assert_close(*images)
    with pytest.raises(UserError, match="cannot be downloaded"):
        UniEmoPipeline.from_pretrained("someone/else", **how)


def test_what_is_pushed_is_the_saved_folder_with_its_card(pipe, monkeypatch):
    pushed: dict[str, object] = {}

    class Hub:
        def __init__(self, token):
            pushed["token"] = token

        def create_repo(self, repo_id, private, exist_ok):
            pushed["made"] = (repo_id, private, exist_ok)

        def upload_folder(self, repo_id, folder_path):
            pushed["files"] = {
                str(p.relative_to(folder_path)) for p in Path(folder_path).rglob("*")
            }
            return f"https://hub/{repo_id}"

    monkeypatch.setattr(emotion_pipeline, "HfApi", Hub)
    assert pipe.push_to_hub("someone/uniemo", private=True, token="secret") == (
        "https://hub/someone/uniemo"
    )
    assert pushed["made"] == ("someone/uniemo", True, True)
    assert {"README.md", "model_index.json", "emotion_model/config.json"} <= pushed["files"]
