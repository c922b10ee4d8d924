"""``uniemo data check``: all that is wrong is told at once."""

import json
import shutil
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from data_modules import check
from data_modules.pixels import near_pairs, signature
from data_modules.source import ReaderConfig
from tests.data_modules.test_readers import COLUMNS, votes_table
from uniemo.cli.data import main
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError


def kinds(report) -> dict[str, int]:
    return {finding.kind: finding.number for finding in report.findings}


def test_images_and_annotations_are_counted(emoset_root, arrow_cache):
    report = check(str(emoset_root), cache_dir=str(arrow_cache))
    lines = report.text().splitlines()
    assert lines[1].split() == ["split", "images", *EMOTIONS, "scene", "object"]
    assert lines[2].split() == ["train", "32", *["4"] * 8, "68.8%", "50.0%"]
    assert kinds(report) == {"few images": 8, "unused name": 1}
    assert "Alarm clock" in report.text()
    assert report.exit_code == 1


def test_everything_that_is_wrong_is_told_at_once(own_root, tmp_path, capsys):
    """Broken rows and files, copies and near copies across splits."""
    rows = json.loads((own_root / "train.json").read_text())
    first, second, third = (own_root / row[-2] for row in rows[:3])
    (own_root / "train.json").write_text(json.dumps([*rows, ["joy", "a", "b"], ["awe"]]))
    test = [own_root / row[-2] for row in json.loads((own_root / "test.json").read_text())]
    test[0].write_bytes(first.read_bytes())  # a copy
    with Image.open(second) as image:  # another size, quality and brightness
        larger = image.resize((image.width * 2, image.height * 2))
        ImageEnhance.Brightness(larger).enhance(0.9).save(test[1], quality=80)
    third.write_bytes(third.read_bytes()[:200])
    (own_root / rows[4][-1]).unlink()  # an annotation
    (own_root / rows[5][-2]).unlink()  # an image
    report = check(str(own_root), cache_dir=str(tmp_path / "arrow"))
    found = kinds(report)
    assert found["row"] == 4
    assert found["broken"] == 1
    assert found["duplicate across splits"] == found["near duplicate across splits"] == 1
    assert found["no images"] == 2  # the two whose only row was broken
    assert report.exit_code == 2
    with pytest.raises(SystemExit) as ended:
        main(["check", str(own_root), "--json"])
    assert ended.value.code == 2
    assert len(json.loads(capsys.readouterr().out)["findings"]) == len(report.findings)


def test_an_image_in_two_splits_is_told(own_root, tmp_path):
    shutil.copyfile(own_root / "val.json", own_root / "test.json")
    found = kinds(check(str(own_root), cache_dir=str(tmp_path / "arrow")))
    assert found["listed twice"] == found["duplicate across splits"] == 8


def test_rows_of_a_table_are_checked_alike(tmp_path):
    table = votes_table(tmp_path)
    text = table.read_text().replace(",4,16,", ",four,16,").replace("pictures/6.jpg", "nothing")
    table.write_text(text.replace(",0.8,train", ",0.8,trian"))
    report = check(str(table), ReaderConfig(columns=COLUMNS), str(tmp_path / "arrow"))
    (row,) = [finding for finding in report.findings if finding.kind == "row"]
    assert row.severity == "error"
    assert [word in text for word, text in
            zip(["'four'", "nothing is missing", "row 10"], row.examples, strict=True)]  # fmt: skip
    assert sum(split["images"] for split in report.splits.values()) == 17


def test_near_pairs_are_those_of_all_correlations():
    generator = np.random.default_rng(0)
    looks = generator.standard_normal((90, 40))
    looks[45:] = looks[:45] + generator.uniform(0, 1, (45, 1)) * generator.standard_normal((45, 40))
    correlation = np.corrcoef(looks)
    looks -= looks.mean(axis=1, keepdims=True)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    expected = {(i, j) for i, j in np.argwhere(correlation >= 0.9).tolist() if i < j}
    assert 0 < len(expected) < 45
    assert set(map(tuple, near_pairs(looks, 0.9, chunk=8).tolist())) == expected


def test_a_picture_of_one_colour_is_like_no_other():
    contents = [BytesIO() for _ in range(2)]
    for content in contents:
        Image.new("RGB", (20, 20), (9, 99, 199)).save(content, "PNG")
    flat = np.stack([signature(content.getvalue()) for content in contents])
    assert len(near_pairs(flat, 0.9)) == 0


@pytest.mark.parametrize("arguments", [["check", "nowhere"], ["check", ".", "--columns", "image"]])
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(UserError, match=r"nowhere does not exist|column 'image': write"):
        main(arguments)
