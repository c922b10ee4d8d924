from collections import Counter

import numpy as np
import torch

from data_modules.emoscenes import OBJECT_NAMES
from uniemo.backbones.composed_images import (
    ALL_OBJECTS,
    NO_OBJECT,
    NO_SCENE,
    ComposedImages,
    ObjectSettings,
)
from uniemo.backbones.denoiser import HARD_OBJECTS, DenoiserStage


def test_images_are_those_of_their_number_whatever_the_start() -> None:
    late, early = ComposedImages(5, 3, 1)[0], ComposedImages(5, 0, 9)[3]
    assert all(torch.equal(late[name], early[name]) for name in early)
    assert not torch.equal(late["image"], ComposedImages(6, 3, 1)[0]["image"])


def test_objects_come_from_what_is_drawn_from_and_the_mask_covers_them() -> None:
    chosen = [
        int(ComposedImages(1, 0, 60, ObjectSettings((7, 7, 9)))[i]["object"]) for i in range(60)
    ]
    count = Counter(chosen)
    assert set(count) == {7, 9, -1}
    assert count[7] > count[9]
    shown = ComposedImages(1, 0, 9, ObjectSettings((7,)))
    for i in range(9):
        assert bool(shown[i]["mask"].any()) == (int(shown[i]["object"]) == 7)


def test_hard_objects_are_listed_three_times_and_the_others_once() -> None:
    count = Counter(DenoiserStage.object_settings.objects)
    assert set(count) == set(ALL_OBJECTS)
    assert {OBJECT_NAMES[i] for i in count if count[i] == 3} == set(HARD_OBJECTS)
    assert set(count.values()) == {1, 3}


def test_shares_of_images_without_scene_or_object() -> None:
    rows = [ComposedImages(2, 0, 400)[i] for i in range(400)]
    scene, object_ = (np.array([int(row[name]) for row in rows]) for name in ("scene", "object"))
    assert abs((scene < 0).mean() - NO_SCENE) < 0.06
    assert abs((object_[scene >= 0] < 0).mean() - NO_OBJECT) < 0.06
    assert (object_[scene < 0] >= 0).all()
