"""The two views against torchvision's own transforms and closed forms."""

import math
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from data_modules.views import CLIP_MEAN, CLIP_STD, ViewTransform, open_image, random_crop
from uniemo.errors import UserError


def jpeg(width: int, height: int, seed: int = 0, **options: object) -> bytes:
    """A smooth random image, encoded."""
    pixels = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    content = BytesIO()
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    image.save(content, "JPEG", quality=95, **options)
    return content.getvalue()


def opened(content: bytes) -> Image.Image:
    return open_image({"path": None, "bytes": content}, "image")


def reference(image: Image.Image, side: int, mean: tuple, std: tuple) -> torch.Tensor:
    """open_clip's preprocessing, in torchvision's first API."""
    return transforms.Compose(
        [
            transforms.Resize(side, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )(image.convert("RGB"))


def assert_same_levels(view: torch.Tensor, expected: torch.Tensor, std: tuple) -> None:
    """Compare normalised images: Pillow rounds a few values to the next of 256 levels."""
    levels = (view - expected).abs() * torch.tensor(std)[:, None, None] * 255
    assert levels.max() < 1.01
    assert (levels > 0.5).float().mean() < 0.02


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (20, 20), (90, 70)])
def test_both_views_equal_the_reference_resize(size):
    content = jpeg(*size)
    clip, diffusion, flipped = ViewTransform(24, 32)(opened(content), None)
    half = (0.5, 0.5, 0.5)
    assert diffusion is not None
    for view, side, mean, std in ((clip, 24, CLIP_MEAN, CLIP_STD), (diffusion, 32, half, half)):
        assert_same_levels(view, reference(opened(content), side, mean, std), std)
    assert diffusion.abs().max() <= 1
    assert not flipped


def test_a_large_jpeg_is_decoded_small_and_stays_the_same():
    content = jpeg(400, 300)
    image = opened(content)
    clip = ViewTransform(32, None)(image, None).clip
    assert image.size == (100, 75)
    full = reference(opened(content), 32, CLIP_MEAN, CLIP_STD)
    grey_levels = (clip - full).abs() * torch.tensor(CLIP_STD).view(3, 1, 1) * 255
    assert grey_levels.mean() < 1


def test_an_image_is_turned_upright_first():
    upright = opened(jpeg(40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: displayed after a quarter turn clockwise
    content = BytesIO()
    upright.rotate(90, expand=True).save(content, "PNG", exif=exif)
    for crop_scale in (None, (0.2, 0.5)):
        views = ViewTransform(16, 16, crop_scale=crop_scale)
        expected = views(opened(jpeg(40, 30)), np.random.default_rng(0))
        turned = views(opened(content.getvalue()), np.random.default_rng(0))
        torch.testing.assert_close(turned.clip, expected.clip)
        torch.testing.assert_close(turned.diffusion, expected.diffusion)


@pytest.mark.parametrize("crop_scale", [None, (0.3, 0.6)])
def test_flips_are_exact_mirrors_and_equal_in_both_views(crop_scale):
    content = jpeg(44, 36)
    plain = ViewTransform(16, 24)(opened(content), None)
    seen = set()
    for seed in range(12):
        clip, diffusion, flipped = ViewTransform(16, 24, crop_scale=crop_scale)(
            opened(content), np.random.default_rng(seed)
        )
        seen.add(flipped)
        assert torch.equal(diffusion, plain.diffusion.flip(-1) if flipped else plain.diffusion)
        if crop_scale is None:
            assert torch.equal(clip, plain.clip.flip(-1) if flipped else plain.clip)
    assert seen == {True, False}


def test_a_random_crop_is_the_drawn_box():
    content = jpeg(44, 36)
    generator = np.random.default_rng(3)
    flipped = generator.random() < 0.5
    box = random_crop(44, 36, (0.2, 0.5), generator)
    part = opened(content).convert("RGB")
    part = part.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    expected = reference(part.resize((16, 16), Image.Resampling.BICUBIC), 16, CLIP_MEAN, CLIP_STD)
    clip = ViewTransform(16, None, crop_scale=(0.2, 0.5))(
        opened(content), np.random.default_rng(3)
    ).clip
    assert_same_levels(clip, expected.flip(-1) if flipped else expected, CLIP_STD)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(20, 200),
    st.integers(20, 200),
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.integers(0, 2**32),
)
def test_random_crops_lie_inside_and_keep_their_bounds(width, height, one, other, seed):
    scale = (min(one, other), max(one, other))
    box = random_crop(width, height, scale, np.random.default_rng(seed))
    assert box.top >= 0
    assert box.left >= 0
    assert box.top + box.height <= height
    assert box.left + box.width <= width
    if box.width != box.height:  # not the centre square that draws without fit fall back to
        slack = 0.5 * (1 / box.width + 1 / box.height) * 1.1  # of rounding both sides
        share = box.width * box.height / (width * height)
        assert scale[0] * (1 - slack) - 0.01 <= share <= scale[1] * (1 + slack) + 0.01
        assert abs(math.log(box.width / box.height)) <= math.log(4 / 3) + 2 * slack


def test_an_unreadable_image_is_named(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.jpg cannot be read"):
        open_image({"path": str(path), "bytes": None}, "broken")


def test_default_statistics_are_open_clips():
    constants = pytest.importorskip("open_clip.constants")
    assert constants.OPENAI_DATASET_MEAN == CLIP_MEAN
    assert constants.OPENAI_DATASET_STD == CLIP_STD


def test_squashed_images_are_those_of_the_public_fid_script():
    pixels = np.random.default_rng(3).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    view = ViewTransform(32, 299, squash=True)(image, None).diffusion
    read = transforms.Compose([transforms.Resize((299, 299)), transforms.ToTensor()])
    assert torch.allclose(view / 2 + 0.5, read(image), atol=1e-6)
