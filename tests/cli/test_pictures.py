"""The commands that use a trained model, on a tiny one."""

import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.commands import fail, leave
from tests.tiny import save_run, trained_tiny_model


@pytest.fixture(scope="module")
def run(tiny_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    model = trained_tiny_model(tiny_files)
    return str(save_run(model, tmp_path_factory.mktemp("runs") / "tiny"))


@pytest.fixture
def photo(tiny_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A photo in the folder that the command is called in."""
    monkeypatch.chdir(tmp_path)
    source = next((tiny_files["emoset"] / "image/awe").glob("*.jpg"))
    Path("beach.jpg").write_bytes(source.read_bytes())
    return "beach.jpg"


def call(*arguments: str) -> None:
    assert leave(*arguments, "--device", "cpu") == 0


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_reading_prints_a_table_or_json_and_writes_maps(run, photo, capsys):
    call("read", photo, photo, "--run", run, "--attention", "maps")
    printed = capsys.readouterr().out
    assert printed.count("beach.jpg") == 2
    expected = [f"{i:03d}_beach_{kind}.png" for i in range(2) for kind in ("object", "scene")]
    assert names("maps") == expected
    assert Image.open("maps/000_beach_scene.png").size == (512, 512)
    call("read", photo, "--run", run, "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["photo"] == photo
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["emotion"] in printed


def test_painting_writes_pictures_that_depend_on_the_arguments_alone(run, photo):
    call("paint", "awe", "fear", "-n", "2", "-o", "one", "--run", run)
    assert names("one") == ["awe_000.png", "awe_001.png", "fear_000.png", "fear_001.png"]
    call("paint", "awe", "-n", "1", "-o", "two", "--run", run)
    assert Path("one/awe_000.png").read_bytes() == Path("two/awe_000.png").read_bytes()
    call("paint", "--image", photo, "-n", "1", "-o", "two", "--run", run, "--prompt", "dog of *")
    assert "beach_000.png" in names("two")


def test_without_a_run_the_model_of_the_package_is_used(run, photo, monkeypatch, capsys):
    monkeypatch.setattr("uniemo.cli.pictures.SHIPPED", run)
    call("read", photo, "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["photo"] == photo


def test_blending_and_editing_write_pictures(run, photo):
    call("blend", "awe=0.6", "fear=0.4", "-n", "1", "-o", "out", "--run", run, "--seed", "3")
    call("edit", photo, "sadness", "-o", "out", "--run", run, "--negative", "awe")
    assert names("out") == ["awe0.6_fear0.4_000.png", "beach_sadness_000.png"]


def test_words_and_models_are_exported(run, photo, capsys):
    call("export", "word", "awe", "-o", "words/awe.safetensors", "--run", run)
    call("export", "word", "awe", "--typical", "2", "-o", "words/awe.safetensors", "--run", run)
    call("export", "word", "--image", photo, "-o", "words/beach.safetensors", "--run", run)
    assert names("words") == [
        "awe.safetensors",
        "awe_000.safetensors",
        "awe_001.safetensors",
        "beach.safetensors",
    ]
    assert load_file("words/awe.safetensors")["emb_params"].shape == (1, 16)
    call("export", "model", "--trained-only", "-o", "small", "--run", run)
    assert set(names("small")) == {"README.md", "emotion_model", "model_index.json"}
    call("export", "model", "-o", "model", "--run", run)
    assert {"README.md", "model_index.json", "open_clip"} <= set(names("model"))
    call("paint", "awe", "-n", "1", "-o", "out", "--run", "model")
    assert names("out") == ["awe_000.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("read nothing.jpg", "nothing.jpg does not exist"),
        ("paint ave", "did you mean 'awe'"),
        ("paint", "nothing to paint"),
        ("paint awe --prompt house", "lacks the placeholder"),
        ("paint awe -n 0", "num_images is 0"),
        ("paint awe --intensity 3", "intensity is 3.0"),
        ("blend awe=0.6", "sum to 0.6"),
        ("blend awe", "'awe' is no new weight"),
        ("blend awe=0.5 awe=0.5", "'awe=0.5' is no new weight"),
        ("edit beach.jpg awe --strength 2", "strength is 2.0"),
        ("edit nothing.jpg awe", "nothing.jpg does not exist"),
        ("export word awe -o awe.pt", "does not end in .safetensors"),
        ("export word -o awe.safetensors", "no word to export"),
        ("export word awe --typical 0 -o awe.safetensors", "number of words is 0"),
        ("export", "give uniemo export word"),
    ],
)
def test_bad_input_is_told_in_one_line_and_writes_nothing(run, photo, capsys, arguments, words):
    given = arguments.split()
    model = ["--run", run, "--device", "cpu"] if len(given) > 1 else []
    assert words in fail(capsys, *given, *model)
    assert names(".") == [photo]


@pytest.mark.parametrize("more", [["--run", "nothing"], ["--device", "cpud"]])
def test_a_model_or_device_that_is_not_there_is_told_in_one_line(run, photo, capsys, more):
    model = [] if "--device" not in more else ["--run", run]
    line = fail(capsys, "read", photo, *model, *more)
    assert "does not exist" in line or "device cpud" in line


@pytest.mark.parametrize("command", ["read", "paint", "blend", "edit", "export word"])
def test_the_help_has_examples(capsys, command):
    assert leave(*command.split(), "--help") == 0
    printed = capsys.readouterr().out
    assert "examples:" in printed
    assert printed.count(f"uniemo {command}") >= 2
