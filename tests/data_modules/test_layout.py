"""Reading EmoSet's layout: the right is read, the wrong is named in one line."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_modules.layout import EmoSetLayout
from data_modules.source import open_source
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError


def edit(path: Path, change: Callable) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content)))


def annotation_of(root: Path, row: int) -> Path:
    return root / json.loads((root / "train.json").read_text())[row][-1]


def test_every_row_is_read_as_written(emoset_root, tmp_path):
    layout = EmoSetLayout.read(emoset_root)
    table = layout.table("train", tmp_path)
    rows = json.loads((emoset_root / "train.json").read_text())
    assert len(table) == len(rows) == 32
    assert {len(row) for row in rows} == {3, 4}
    for row, example in zip(rows, table, strict=True):
        annotation = json.loads((emoset_root / row[-1]).read_text())
        assert example["image_id"] == annotation["image_id"]
        assert example["image"] == {"bytes": None, "path": str((emoset_root / row[-2]).resolve())}
        assert EMOTIONS[example["emotion"]] == annotation["emotion"]
        scene = layout.scene_names[example["scene"]] if example["scene"] >= 0 else None
        assert scene == annotation.get("scene")
        objects = [layout.object_names[index] for index in example["objects"]]
        assert objects == annotation.get("object", [])
        assert example["brightness"] == pytest.approx(annotation["brightness"])
    assert "bakery/shop" in layout.scene_names
    assert layout.splits == ["train", "val", "test"]


def test_a_second_opening_reads_no_annotation(own_root, tmp_path, monkeypatch):
    EmoSetLayout.read(own_root).table("train", tmp_path / "arrow")
    monkeypatch.setattr(EmoSetLayout, "_example", None)
    assert len(EmoSetLayout.read(own_root).table("train", tmp_path / "arrow")) == 8
    assert len(list((tmp_path / "arrow").iterdir())) == 1


def test_a_changed_annotation_is_read_again(own_root, tmp_path):
    before = EmoSetLayout.read(own_root).table("train", tmp_path / "arrow")
    edit(annotation_of(own_root, 0), lambda content: content | {"brightness": 0.75})
    after = EmoSetLayout.read(own_root).table("train", tmp_path / "arrow")
    assert (before[0]["brightness"], after[0]["brightness"]) == (0.0, 0.75)


def test_many_may_read_a_split_at_once(own_root, tmp_path):
    def names(_: int) -> list[str]:
        return list(EmoSetLayout.read(own_root).table("train", tmp_path / "arrow")["image_id"])

    with ThreadPoolExecutor(8) as readers:
        first, *others = readers.map(names, range(8))
    assert all(other == first for other in others)
    assert len(list((tmp_path / "arrow").iterdir())) == 1


def test_mikels_emotions_may_be_numbered_in_any_order(own_root, tmp_path):
    def reverse(info: dict) -> dict:
        names = {name: index for index, name in enumerate(reversed(EMOTIONS))}
        return info | {"emotion": {"label2idx": names}}

    labels = EmoSetLayout.read(own_root).table("train", tmp_path)["emotion"]
    edit(own_root / "info.json", reverse)
    assert EmoSetLayout.read(own_root).table("train", tmp_path)["emotion"] == labels


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        (lambda root: (root / "info.json").unlink(), ["info.json", "missing"]),
        (
            lambda root: edit(
                root / "info.json", lambda info: info | {"emotion": {"label2idx": {"awe": 0}}}
            ),
            ["info.json", "there are 1 emotions"],
        ),
        (
            lambda root: edit(root / "info.json", lambda info: info | {"scene": {}}),
            ["info.json", "scene.label2idx"],
        ),
        (lambda root: (root / "train.json").write_text("[[1,"), ["train.json", "JSON"]),
        (lambda root: (root / "train.json").write_text("[]"), ["train.json", "no images"]),
        (lambda root: (root / "train.json").unlink(), ["train.json", "missing"]),
        (
            lambda root: edit(root / "train.json", lambda rows: [*rows, ["awe", "x"]]),
            ["train.json", "row 8"],
        ),
        (
            lambda root: edit(root / "train.json", lambda rows: [["joy", *rows[0][1:]]]),
            ["train.json", "row 0", "'joy'"],
        ),
        (lambda root: annotation_of(root, 2).unlink(), ["contentment_train002.json", "missing"]),
        (lambda root: annotation_of(root, 2).write_text("[]"), ["contentment_train002.json"]),
        (
            lambda root: edit(annotation_of(root, 0), lambda content: content | {"scene": "moon"}),
            ["amusement_train000.json", "scene 'moon'"],
        ),
        (
            lambda root: edit(
                annotation_of(root, 0), lambda content: content | {"object": ["Ufo"]}
            ),
            ["amusement_train000.json", "object 'Ufo'"],
        ),
        (
            lambda root: edit(annotation_of(root, 0), lambda content: content | {"emotion": "awe"}),
            ["amusement_train000.json", "'awe'"],
        ),
        (
            lambda root: edit(annotation_of(root, 0), lambda content: content | {"brightness": 3}),
            ["amusement_train000.json", "brightness", "3"],
        ),
        (
            lambda root: (root / "image/awe/awe_train001.jpg").unlink(),
            ["awe_train001.jpg", "missing"],
        ),
    ],
)
def test_errors_are_named_in_one_line(own_root, tmp_path, breakage, words):
    breakage(own_root)
    with pytest.raises(UserError) as caught:
        open_source(str(own_root)).table("train", tmp_path / "arrow")
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        open_source(str(tmp_path / "nowhere"))


def test_the_published_names_are_read():
    info = Path(__file__).parents[3] / "shared" / "emoset" / "info.json"
    if not info.is_file():
        pytest.skip("EmoSet's info.json is not beside the repository")
    layout = EmoSetLayout.read(info.parent)
    assert (len(layout.scene_names), len(layout.object_names)) == (254, 409)
    assert "bakery/shop" in layout.scene_names
    assert layout.object_names[2] == "Alarm clock"
