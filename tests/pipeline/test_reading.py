"""Photos of every form are read, and unusable ones are told in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.pipeline.photos import MAX_PIXELS, open_photo, photo_squares


def test_a_reading_is_what_the_model_reads(pipe, trained, photo):
    (reading,) = pipe.read(photo)
    with torch.no_grad():
        output = trained.read(pipe._clip_view([photo]))
    expected = dict(zip(EMOTIONS, output.logits.softmax(1)[0].tolist(), strict=True))
    assert reading.probabilities == pytest.approx(expected)
    assert reading.emotion == EMOTIONS[int(output.logits.argmax())]
    positive = EMOTIONS.index(reading.emotion) < 4
    assert reading.polarity == ("positive" if positive else "negative")
    fusion = trained.fusion
    scene = int(fusion.scene_base.retrieve(output.scene))
    assert reading.scene.name == fusion.scene_names[scene]
    coefficients = fusion.scene_base.correlation[scene].tolist()
    assert list(reading.scene.coefficients.values()) == pytest.approx(coefficients)
    maps = trained.understanding.chain.attention(pipe._clip_view([photo]))
    np.testing.assert_allclose(reading.object_attention, maps.object[0].detach(), atol=1e-6)
    assert reading.scene_attention.shape == (2, 2, 2)
    assert json.loads(json.dumps(reading.as_dict()))["object"]["name"] == reading.object.name


def test_every_form_of_a_photo_reads_the_same(pipe, photo):
    picture = Image.open(photo).convert("RGB")
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    forms = [str(photo), photo, picture, array, tensor, tensor / 255, (array / 255).astype("f4")]
    expected = pipe.read(photo)[0].probabilities
    readings = [pipe.read(form)[0] for form in forms] + pipe.read(forms)
    readings += pipe.read(np.stack([array] * 2)) + pipe.read(torch.stack([tensor] * 2))
    assert len(readings) == 2 * len(forms) + 4
    for reading in readings:
        assert reading.probabilities == pytest.approx(expected, abs=1e-5)


def test_many_photos_are_read_in_batches_and_in_order(pipe, photo):
    dark = np.zeros((20, 20, 3), np.uint8)
    readings = pipe.read([dark, *[photo] * 40])
    assert len(readings) == 41
    assert readings[0].probabilities != readings[40].probabilities
    assert readings[1].probabilities == pytest.approx(readings[40].probabilities, abs=1e-6)


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    picture = Image.new("RGB", (8, 4))
    picture.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    picture.save(tmp_path / "turned.png", exif=exif)
    upright = open_photo(tmp_path / "turned.png")
    assert upright.size == (4, 8)
    assert upright.getpixel((3, 0)) == (255, 0, 0)


def test_grey_and_transparent_photos_become_rgb(tmp_path):
    for mode in ("L", "RGBA", "P", "I;16"):
        Image.new(mode, (9, 9)).save(tmp_path / "photo.png")
        assert photo_squares([tmp_path / "photo.png"], 8).shape == (1, 3, 8, 8)
    assert open_photo(np.zeros((5, 6), np.uint8)).size == (6, 5)


def broken(path: Path) -> Path:
    Image.effect_noise((64, 64), 50).convert("RGB").save(path, quality=95)
    path.write_bytes(path.read_bytes()[:800])
    return path


def huge(path: Path) -> Path:
    """Write a picture of few bytes and too many pixels."""
    side = int(MAX_PIXELS**0.5) + 10
    Image.new("1", (side, side)).save(path)
    return path


def text(path: Path) -> Path:
    path.write_text("no picture")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nothing.jpg", "nothing.jpg does not exist"),
        (lambda folder: folder, "does not exist"),
        (lambda folder: text(folder / "notes.jpg"), "notes.jpg cannot be read"),
        (lambda folder: broken(folder / "half.jpg"), "half.jpg cannot be read"),
        (lambda folder: huge(folder / "huge.png"), "shrink it to 100,000,000"),
        (lambda folder: Image.new("RGB", (2000, 2)), "crop it"),
        (lambda folder: np.zeros((4, 4, 7), np.uint8), "shape (7, 4, 4)"),
        (lambda folder: np.full((4, 4, 3), 200.0), "outside [0, 1]"),
        (lambda folder: torch.full((3, 4, 4), float("nan")), "outside [0, 1]"),
        (lambda folder: np.zeros((4, 4, 3), np.int64), "torch.int64"),
        (lambda folder: 3, "a photo is a int"),
        (lambda folder: [], "no photo"),
    ],
)
def test_what_is_no_photo_is_told_in_one_line(pipe, tmp_path, make, words):
    with pytest.raises(UserError) as caught:
        pipe.read(make(tmp_path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
