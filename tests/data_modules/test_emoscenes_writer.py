"""The writer: EmoSet's layout, the same bytes from any number of processes, all or nothing."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, writer
from data_modules.emoscenes.__main__ import main
from data_modules.emoscenes.recipe import LEVELS, build_recipe
from data_modules.emoscenes.shift import Shift
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError

SIZES = {"train": 48, "val": 8, "test": 16}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "emoscenes"
    return writer.write_emoscenes(folder, sizes=SIZES, seed=5, processes=1)


def digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def annotations(root: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(root.glob("annotation/*/*.json"))]


def test_any_number_of_processes_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    again = writer.write_emoscenes(tmp_path / "again", sizes=SIZES, seed=5, processes=3)
    assert digest(again) == digest(root)


def test_rows_are_emosets_and_point_at_files(root: Path) -> None:
    ids = []
    for split, number in SIZES.items():
        rows = json.loads((root / f"{split}.json").read_text())
        assert len(rows) == number
        for emotion, image_id, image, annotation in rows:
            assert image == f"image/{emotion}/{image_id}.jpg"
            assert annotation == f"annotation/{emotion}/{image_id}.json"
            assert json.loads((root / annotation).read_text())["image_id"] == image_id
            assert (root / image).is_file()
            ids.append(image_id)
        counts = [sum(row[0] == emotion for row in rows) for emotion in EMOTIONS]
        assert set(counts) == {number // 8}
    assert len(set(ids)) == sum(SIZES.values())


def test_images_are_jpegs_without_chroma_subsampling(root: Path) -> None:
    with Image.open(next(root.glob("image/awe/*.jpg"))) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 64), "RGB")
        assert JpegImagePlugin.get_sampling(image) == 0


def test_annotations_hold_what_emoset_holds_and_what_is_known_here(root: Path) -> None:
    found = annotations(root)
    for one in found:
        assert one["emotion"] in EMOTIONS
        assert 0 < one["brightness"] < 1
        assert 0 < one["colorfulness"] < 1
        assert one["drawn_scene"] in SCENE_NAMES
        assert one.get("scene", one["drawn_scene"]) == one["drawn_scene"]
        assert len(one["posterior"]) == 8
        assert sum(one["posterior"]) == pytest.approx(1, abs=1e-5)
        if one["drawn_object"] is None:
            assert one["box"] is None
            assert "object" not in one
        else:
            assert one["drawn_object"] in OBJECT_NAMES
            assert one.get("object", [one["drawn_object"]]) == [one["drawn_object"]]
            x0, y0, x1, y1 = one["box"]
            assert 0 <= x0 < x1 <= 64
            assert 0 <= y0 < y1 <= 64
    assert 0 < sum("scene" in one for one in found) < len(found)
    assert 0 < sum("object" in one for one in found) < len(found)


def test_info_has_all_of_emosets_blocks(root: Path) -> None:
    info = json.loads((root / "info.json").read_text())
    lengths = {block: len(info[block]["label2idx"]) for block in info}
    assert lengths == {
        "emotion": 8,
        "brightness": 11,
        "colorfulness": 11,
        "scene": 24,
        "object": 64,
        "facial_expression": 6,
        "human_action": 264,
    }
    assert info["brightness"]["label2idx"]["0.3"] == 3
    assert info["brightness"]["idx2label"]["3"] == 0.3
    assert info["emotion"]["idx2label"]["5"] == "disgust"
    for block in info.values():
        assert all(
            str(block["idx2label"][str(i)]) == name for name, i in block["label2idx"].items()
        )


def test_the_card_names_seed_ceilings_and_licence(root: Path) -> None:
    card = json.loads((root / "card.json").read_text())
    assert card["seed"] == 5
    assert card["sizes"] == SIZES
    assert 0.8 <= card["bayes_ceilings"]["everything"] <= 0.88
    text = (root / "DATA_CARD.md").read_text()
    assert "CC-BY 4.0" in text
    assert f"{card['bayes_ceilings']['everything']:.1%}" in text


def test_the_same_card_is_left_alone_and_another_replaces(tmp_path: Path) -> None:
    folder, sizes = tmp_path / "data", {"train": 8, "val": 0, "test": 0}
    writer.write_emoscenes(folder, sizes=sizes, processes=1)
    before, stamp = digest(folder), (folder / "card.json").stat().st_mtime_ns
    writer.write_emoscenes(folder, sizes=sizes, processes=1)
    assert (folder / "card.json").stat().st_mtime_ns == stamp
    writer.write_emoscenes(folder, sizes=sizes, seed=1, processes=1)
    assert digest(folder) != before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(card: object) -> str:
        raise RuntimeError("disk full")

    monkeypatch.setattr(writer, "describe", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        writer.write_emoscenes(tmp_path / "data", sizes={"train": 8, "val": 0, "test": 0})
    assert not list(tmp_path.iterdir())


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds something other"):
        writer.write_emoscenes(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "wrong", [{"sizes": {"train": 8}}, {"size": 4}, {"seed": -1}], ids=["sizes", "size", "seed"]
)
def test_impossible_arguments_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(UserError, match=r"choose|give"):
        writer.write_emoscenes(tmp_path / "data", **wrong)


def test_the_command_prints_one_line_and_exits_2_on_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--root", str(tmp_path / "data"), "--size", "3"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    few = ["--train", "8", "--val", "0", "--test", "0", "--processes", "1"]
    assert main(["--root", str(tmp_path / "data"), *few]) == 0
    assert (tmp_path / "data" / "train.json").is_file()


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shifted"
    given = ["long_tail=50", "withheld_pairs=0.5", "wrong_labels=0.4", "narrow=true"]
    flags = [part for each in given for part in f"--training.{each}".split("=")]
    sizes = ["--train", "400", "--val", "8", "--test", "16", "--seed", "5", "--size", "16"]
    assert main(["--root", str(folder), *sizes, "--processes", "1", *flags]) == 0
    return folder


def test_a_shift_changes_the_training_split_alone(shifted: Path, tmp_path: Path) -> None:
    plain = writer.write_emoscenes(tmp_path / "plain", sizes=SIZES, size=16, seed=5, processes=1)
    for split in ("val", "test"):
        own, other = (
            [(folder / row[2]).read_bytes() for row in rows_of(folder, split)]
            for folder in (plain, shifted)
        )
        assert own == other
    assert json.loads((shifted / "card.json").read_text())["training"]["long_tail"] == 50
    assert "training" not in json.loads((plain / "card.json").read_text())


def rows_of(root: Path, split: str) -> list[list[str]]:
    return json.loads((root / f"{split}.json").read_text())


def test_a_shifted_training_split_is_as_it_was_asked_for() -> None:
    shift, recipe = Shift(50, 0.5, 0.4, narrow=True), build_recipe()
    emotions = shift.emotions(4000)
    counts = np.bincount(emotions)
    assert len(emotions) == 4000
    assert counts[0] / counts[-1] == pytest.approx(50, rel=0.02)
    ratios = counts[1:] / counts[:-1]
    assert ratios.min() == pytest.approx(ratios.max(), rel=0.05)
    labels = [shift.label(emotion, 5, index) for index, emotion in enumerate(emotions)]
    assert np.mean(np.array(labels) != np.array(emotions)) == pytest.approx(0.4, abs=0.03)
    rng = np.random.default_rng(0)
    drawn = [shift.draw(recipe, rng, index % 8) for index in range(2000)]
    free = [recipe.draw(rng, index % 8) for index in range(2000)]
    shown = {(each.scene, each.object) for each in drawn}
    assert np.mean([(each.scene, each.object) in shown for each in free]) < 0.6
    tones = {LEVELS[each.brightness] for each in drawn} | {LEVELS[e.colorfulness] for e in drawn}
    assert tones == {0.4, 0.5, 0.6}


@pytest.mark.parametrize("flag", ["--training.long_tail", "--training.wrong_labels"])
def test_an_impossible_shift_is_refused(flag: str, tmp_path: Path, capsys) -> None:
    assert main(["--root", str(tmp_path / "data"), flag, "-1"]) == 2
    assert flag.removeprefix("--") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_variant_has_other_labels_and_another_style_of_the_same_world(
    root: Path, tmp_path: Path
) -> None:
    six = writer.write_emoscenes(
        tmp_path / "six", sizes={"train": 8, "val": 0, "test": 0}, seed=5, size=32,
        classes="six", style="painted", processes=1,
    )  # fmt: skip
    rows = json.loads((six / "train.json").read_text())
    names = ["joy", "surprise", "joy", "joy", "anger", "disgust", "fear", "sadness"]
    assert [row[0] for row in rows] == names
    card = json.loads((six / "card.json").read_text())
    assert (card["classes"], card["style"]) == ("six", "painted")
    ceilings = json.loads((root / "card.json").read_text())["bayes_ceilings"]
    assert card["bayes_ceilings"]["everything"] > ceilings["everything"]
    first = json.loads((six / rows[0][-1]).read_text())
    same = json.loads((root / json.loads((root / "train.json").read_text())[0][-1]).read_text())
    assert first["drawn_scene"] == same["drawn_scene"]
    joy = sum(same["posterior"][EMOTIONS.index(name)] for name in
              ("amusement", "contentment", "excitement"))  # fmt: skip
    assert first["posterior"][3] == pytest.approx(joy, abs=1e-5)
    with Image.open(six / rows[0][-2]) as image:
        assert image.size == (32, 32)
