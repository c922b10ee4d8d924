"""What is written in EmoSet's layout is read back; broken files: tests/data_modules/test_layout."""

import json
from pathlib import Path

import pytest

from uniemo.emotions import EMOTIONS, Emotions
from uniemo.errors import UserError
from uniemo.utils.emoset_files import (
    Annotation,
    SplitRow,
    read_annotation,
    read_info,
    read_split,
    write_annotation,
    write_info,
    write_split,
)

ROW = SplitRow.of("fear", "fear_1")


def test_rows_have_emosets_paths_unless_another_is_given() -> None:
    assert ROW == ("fear", "fear_1", "image/fear/fear_1.jpg", "annotation/fear/fear_1.json")
    other = SplitRow.of("awe", "7", "images/7.png").absolute(Path("/data"))
    assert other == ("awe", "7", "/data/images/7.png", "/data/annotation/awe/7.json")


@pytest.mark.parametrize("compact", [False, True])
def test_what_is_written_is_read_back(tmp_path: Path, compact: bool) -> None:
    names = {"scene": ["coast", "bakery/shop"], "object": ["Lion", "Cake"]}
    write_info(tmp_path, {"brightness": [0.0, 0.1], **names}, Emotions(), compact)
    info = json.loads((tmp_path / "info.json").read_text())
    assert list(info) == ["emotion", "brightness", "scene", "object"]
    assert list(info["emotion"]["label2idx"]) == list(EMOTIONS)
    assert info["brightness"] == {
        "label2idx": {"0.0": 0, "0.1": 1},
        "idx2label": {"0": 0.0, "1": 0.1},
    }
    assert "polarity" not in info["emotion"]  # it is the usual one
    assert read_info(tmp_path) == (Emotions(), *names.values())

    rows = [ROW, SplitRow.of("awe", "7", "images/7.png")]
    write_split(tmp_path, "val", rows, compact)
    assert read_split(tmp_path, "val", Emotions()) == rows

    known = Annotation(0.25, 1.0, "coast", ["Cake", "Lion"])
    write_annotation(tmp_path, rows[0], known, {"box": None}, compact)
    write_annotation(tmp_path, rows[1], Annotation(0.0, 0.5), compact=compact)
    assert read_annotation(tmp_path, "val", rows[0]) == known
    assert read_annotation(tmp_path, "val", rows[1]) == (0.0, 0.5, None, [])
    for row, keys in zip(rows, (["scene", "object", "box"], []), strict=True):
        text = (tmp_path / row.annotation).read_text()
        assert list(json.loads(text)) == [
            "image_id", "emotion", "brightness", "colorfulness", *keys,
        ]  # fmt: skip
        assert (text.count("\n") == 0) == compact


def test_other_emotions_are_written_with_their_polarity(tmp_path: Path) -> None:
    own = Emotions(("calm", "surprise", "fear"), (0, None, 1))
    write_info(tmp_path, {"scene": [], "object": []}, own)
    assert read_info(tmp_path).emotions == own


def test_a_row_without_its_id_is_named_by_its_image(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([["fear", *ROW[2:]]]))
    assert read_split(tmp_path, "test", Emotions()) == [ROW]


def test_an_annotation_of_another_emotion_is_refused(tmp_path: Path) -> None:
    write_annotation(tmp_path, ROW, Annotation(0.5, 0.5))
    with pytest.raises(UserError, match=r"says 'fear' but train\.json says 'awe'"):
        read_annotation(tmp_path, "train", ROW._replace(emotion="awe"))
