"""The painter: scenes, objects and how they are put together."""

import numpy as np
import pytest

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, compose, objects, words
from uniemo.errors import UserError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_there_are_24_scenes_and_64_objects_in_order() -> None:
    assert len(SCENE_NAMES) == 24
    assert len(OBJECT_NAMES) == 64
    assert list(SCENE_NAMES) == sorted(SCENE_NAMES)
    assert list(OBJECT_NAMES) == sorted(OBJECT_NAMES)


def test_no_two_objects_and_no_distractor_share_an_image() -> None:
    code_points = [*objects.OBJECTS.values(), *objects.DISTRACTORS]
    assert len(set(code_points)) == len(code_points)


@pytest.mark.parametrize("scene", [*SCENE_NAMES, None])
@pytest.mark.parametrize("size", [32, 64])
def test_every_scene_paints_at_any_size(scene: str | None, size: int) -> None:
    image, box, mask = compose(rng(), scene, None, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert box is None
    assert mask.shape == (size, size)
    assert not mask.any()


def test_the_generator_decides_the_bytes() -> None:
    first, again, other = (compose(rng(s), "coast", "Lion").image for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", OBJECT_NAMES)
def test_the_object_stands_out_inside_its_box_and_nowhere_else(name: str) -> None:
    scene = SCENE_NAMES[OBJECT_NAMES.index(name) % len(SCENE_NAMES)]
    composed = compose(rng(1), scene, name, distractors=(0, 0))
    ground = compose(rng(1), scene, None, distractors=(0, 0)).image
    difference = np.abs(composed.image.astype(float) - ground).mean(2)
    assert difference[composed.mask > 0.5].mean() > 15
    assert composed.box is not None
    x0, y0, x1, y1 = (int(edge) for edge in composed.box)
    assert composed.mask[y0:y1, x0:x1].sum() > 0.95 * composed.mask.sum()
    margin = 4  # the rim around the object, and the pixels it covers less than a quarter
    outside = np.ones_like(difference, bool)
    outside[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin] = False
    assert not difference[outside].any()


@pytest.mark.parametrize("share", [0.35, 0.5, 0.75])
def test_the_object_is_as_large_as_requested(share: float) -> None:
    for seed in range(20):
        box = compose(rng(seed), None, "Dice", object_size=(share, share)).box
        assert box is not None
        longer = max(box[2] - box[0], box[3] - box[1]) / 64
        # A square turned by 25 degrees is 1.33 times as wide; the dice has blunt corners.
        assert share - 0.05 <= longer <= 1.33 * share + 0.02


def test_the_object_is_turned_no_further_than_requested() -> None:
    """Of one size, upright ones differ in noname but their mirror image."""
    shapes: dict[float, set[bytes]] = {0.0: set(), 1.0: set(), 25.0: set()}
    for tilt, found in shapes.items():
        for seed in range(20):
            mask = compose(rng(seed), None, "Lion", object_size=(0.5, 0.5), object_tilt=tilt).mask
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            found.add((mask[rows[0] : rows[-1], columns[0] : columns[-1]] > 0.5).tobytes())
    assert len(shapes[0.0]) == 2
    assert len(shapes[1.0]) > 2
    assert len(shapes[25.0]) == 20


def test_distractors_leave_the_object_alone() -> None:
    touched = 0
    for seed in range(20):
        few, many = (compose(rng(seed), "pond", "Cake", distractors=(n, n)) for n in (0, 6))
        assert np.array_equal(few.mask, many.mask)
        changed = (few.image != many.image).any(2)
        assert not changed[few.mask > 0.99].any()
        touched += changed.any()
    assert touched > 15


def test_tone_sets_brightness_and_colorfulness() -> None:
    def measure(brightness: float, colorfulness: float) -> tuple[float, float]:
        image = compose(
            rng(2), "playground", "Lion", brightness=brightness, colorfulness=colorfulness
        ).image.astype(float)
        return image.mean(), (image.max(2) - image.min(2)).mean()

    light = [measure(level, 0.5)[0] for level in (0.1, 0.5, 0.9)]
    colour = [measure(0.5, level)[1] for level in (0.1, 0.5, 0.9)]
    assert light == sorted(light)
    assert colour == sorted(colour)
    assert light[2] - light[0] > 40
    assert colour[2] > 1.5 * colour[0]


@pytest.mark.parametrize(("scene", "name"), [("moon", None), (None, "Unicorn")])
def test_unknown_names_are_refused(scene: str | None, name: str | None) -> None:
    with pytest.raises(ValueError, match="unknown; choose one of"):
        compose(rng(), scene, name)


def test_without_twemoji_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'uniemo\[emoscenes\]'"):
        objects.twemoji.__wrapped__("1f981")


def test_words_are_lower_case_without_underscores() -> None:
    assert words("jail_cell") == "jail cell"
    assert words("Hot dog") == "hot dog"
    assert all(words(name).replace(" ", "").isalpha() for name in (*SCENE_NAMES, *OBJECT_NAMES))
