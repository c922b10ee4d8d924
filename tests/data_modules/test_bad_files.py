"""Bad data, each by name: how it is made, and what its one line must hold."""

import json
import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_modules import EmoSetDataModule
from data_modules.views import open_image
from tests.tiny import write_emoset
from uniemo.errors import UserError
from uniemo.model.checkpoint import WORD_WIDTH, read_checkpoint
from uniemo.utils.pictures import open_picture, upright_rgb
from uniemo.vision.images import read_image


def row(root: Path, number: int, place: int, value: object) -> None:
    rows = json.loads((root / "train.json").read_text())
    rows[number][place] = value
    (root / "train.json").write_text(json.dumps(rows))


def annotation(root: Path, **changes: object) -> None:
    path = root / json.loads((root / "train.json").read_text())[0][-1]
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def info(root: Path, **changes: object) -> None:
    content = json.loads((root / "info.json").read_text())
    (root / "info.json").write_text(json.dumps(content | changes))


def link(root: Path) -> None:
    image = root / json.loads((root / "train.json").read_text())[0][-2]
    target = root.parent / "outside.jpg"
    image.replace(target)
    image.symlink_to(target)


DEEP = "[" * 100_000
DATA = {
    "info.json is a list": (lambda r: (r / "info.json").write_text("[]"), ["info.json", "lacks"]),
    "info.json is deep": (lambda r: (r / "info.json").write_text(DEEP), ["info.json", "JSON"]),
    "info.json is no text": (lambda r: (r / "info.json").write_bytes(b"\xff"), ["info.json"]),
    "polarity is a number": (
        lambda r: info(r, emotion={"label2idx": {"a": 0, "b": 1}, "polarity": 3}),
        ["info.json", "emotion"],
    ),
    "emotion names a folder above": (
        lambda r: info(r, emotion={"label2idx": {"../a": 0, "b": 1}}), ["../a", "folder"],
    ),
    "half a character": (
        lambda r: info(r, scene={"label2idx": {"\ud800": 0}}), ["info.json", "JSON"],
    ),
    "split is null": (lambda r: (r / "train.json").write_text("null"), ["train.json", "no images"]),
    "row is a nest": (lambda r: row(r, 1, 1, [[[]]]), ["row 1", "write it as"]),
    "row has NUL": (lambda r: row(r, 1, -2, "a\0.jpg"), ["row 1", "no path"]),
    "row is overlong": (lambda r: row(r, 1, -2, "a" * 5000), ["row 1", "no path"]),
    "row leaves the folder": (lambda r: row(r, 1, -2, "../../etc/x.jpg"), ["row 1", "no path"]),
    "link leaves the folder": (link, ["link out of the data folder"]),
    "duplicate row": (
        lambda r: (r / "train.json").write_text(json.dumps(
            2 * json.loads((r / "train.json").read_text())
        )),
        ["listed twice", "in train and in train"],
    ),
    "splits that overlap": (
        lambda r: (r / "val.json").write_text((r / "train.json").read_text()),
        ["listed twice", "in train and in val"],
    ),
    "brightness is a list": (lambda r: annotation(r, brightness=[[1]]), ["brightness", "0 to 1"]),
    "brightness is NaN": (lambda r: annotation(r, brightness=float("nan")), ["brightness"]),
    "object is a mapping": (lambda r: annotation(r, object={"a": 1}), ["object"]),
    "scene is a list": (lambda r: annotation(r, scene=[["coast"]]), ["scene", "info.json"]),
    "another emotion": (lambda r: annotation(r, emotion=["fear"]), ["fear", "make them agree"]),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), DATA.values(), ids=DATA)
def test_bad_data_are_told_in_one_line(damage, words, tmp_path):
    root = write_emoset(tmp_path / "data", {"train": 1, "val": 1})
    damage(root)
    with pytest.raises(UserError) as error:
        EmoSetDataModule(str(root), cache_dir=str(tmp_path / "cache")).prepare_data()
    assert_one_line(str(error.value), words)


def assert_one_line(line: str, words: list[str]) -> None:
    assert len(line.splitlines()) == 1
    assert len(line) < 500
    assert all(word in line for word in words), line


def encoded(kind: str, size: tuple[int, int] = (12, 12)) -> bytes:
    with BytesIO() as file:
        Image.new("RGB", size, "red").save(file, kind)
        return file.getvalue()


PICTURES = {
    "empty": b"",
    "text": b"no picture",
    "cut off": encoded("PNG")[:45],
    "broken PPM": b"P6 12 12 255 abc",
    "EPS, which would start Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "a bomb": encoded("PNG").replace(
        (12).to_bytes(4) + (12).to_bytes(4), (60_000).to_bytes(4) + (60_000).to_bytes(4)
    ),
    "one line of pixels": encoded("BMP", (1, 1)).replace(
        b"\x01\0\0\0\x01\0\0\0", b"\x01\0\0\0" + (600_000_000).to_bytes(4, "little")
    ),
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_bad_pictures_are_told_in_one_line(content, tmp_path):
    path = tmp_path / "one.png"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_image(path, 8)
    assert_one_line(str(error.value), ["one.png", "cannot be read"])


def test_a_null_in_a_copy_is_told_in_one_line():
    with pytest.raises(UserError, match="cannot be read"):
        open_image({"path": None, "bytes": None}, "row 3")


@pytest.mark.parametrize(
    ("pixels", "grey"),
    [
        (np.full((4, 4), 32640, np.uint16), 127),  # half of 65,535
        (np.full((4, 4), 100, np.int32), 100),
        (np.full((4, 4), 0.498, np.float32), 127),
        (np.full((4, 4), 127.0, np.float32), 127),
        (np.full((4, 4), np.nan, np.float32), 0),
    ],
)
def test_numbers_beyond_a_byte_are_read_as_they_are_meant(pixels, grey):
    with BytesIO() as file:
        Image.fromarray(pixels).save(file, "TIFF")
        assert upright_rgb(open_picture(BytesIO(file.getvalue()))).getpixel((1, 1)) == (grey,) * 3


def test_a_photo_that_is_turned_is_read_upright(tmp_path):
    image = Image.new("RGB", (8, 8), "black")
    image.paste("white", (0, 0, 8, 4))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png", 8)[:, 0].max() == 0


class Attack:
    def __reduce__(self):
        return (Path.touch, (Path("attacked"),))


def state(**changes: object) -> dict[str, object]:
    names = {"scene": ["coast"], "object": []}
    weights = {WORD_WIDTH: torch.zeros(4)}
    return {"names": names, "state_dict": weights, "hyper_parameters": {}} | changes


CHECKPOINTS = {
    "a pickle that runs code": (lambda path: path.write_bytes(pickle.dumps(Attack())), "read"),
    "a checkpoint that runs code": (lambda path: torch.save(Attack(), path), "read"),
    "empty": (lambda path: path.write_bytes(b""), "read"),
    "a list": (lambda path: torch.save([1], path), "no checkpoint"),
    "weights alone": (lambda path: torch.save({WORD_WIDTH: torch.ones(4)}, path), "no checkpoint"),
    "no settings": (lambda path: torch.save(state(hyper_parameters=None), path), "no checkpoint"),
    "names that are numbers": (
        lambda path: torch.save(state(names={"scene": [1], "object": []}), path), "no checkpoint",
    ),
    "weights that are text": (
        lambda path: torch.save(state(state_dict={"a": "b"}), path), "no checkpoint",
    ),
    "another version": (
        lambda path: torch.save(state(state_dict={"a": torch.ones(1)}), path), "another version",
    ),
    "weights that are not finite": (
        lambda path: torch.save(state(state_dict={WORD_WIDTH: torch.tensor([torch.nan])}), path),
        "not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("write", "words"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_bad_checkpoints_are_told_in_one_line(write, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad.ckpt")
    with pytest.raises(UserError) as error:
        read_checkpoint(tmp_path / "bad.ckpt")
    assert_one_line(str(error.value), ["bad.ckpt", words])
    assert not Path("attacked").exists()
