"""Pictures of every kind become upright RGB of 8 bits."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from data_modules.views import ViewTransform, open_image
from uniemo.errors import UserError
from uniemo.utils.pictures import middle, upright_rgb

GREY = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
COLOUR = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(upright_rgb(Image.open(BytesIO(content))))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_range(kind: str) -> None:
    pixels = decoded(encoded(Image.fromarray(GREY), kind))
    np.testing.assert_array_equal(pixels[..., 0], GREY >> 8)
    assert (pixels == pixels[..., :1]).all()


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.fromarray(np.dstack([COLOUR, np.full((12, 16), 255, np.uint8)]))
    image.putpixel((3, 2), (10, 20, 30, 0))
    for content in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True)):
        pixels = decoded(content)
        assert pixels[2, 3].tolist() == [255, 255, 255]
        np.testing.assert_array_equal(pixels[5:], COLOUR[5:])
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    palette.putpixel((0, 0), 0)
    pixels = decoded(encoded(palette, "PNG", transparency=0))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [200, 0, 0]


def test_grey_cmyk_and_the_first_frame_of_an_animation_are_read() -> None:
    assert decoded(encoded(Image.new("L", (4, 4), 90), "JPEG"))[0, 0].tolist() == [90] * 3
    cmyk = decoded(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert cmyk[4, 4, 0] > 240
    assert cmyk[4, 4, 1] < 15
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(animated)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("size", [(1, 1), (4000, 3), (3, 4000), (1, 9000)])
@pytest.mark.parametrize("crop_scale", [None, (0.08, 1.0)])
def test_tiny_and_endless_pictures_have_views(size: tuple[int, int], crop_scale) -> None:
    content = encoded(Image.new("RGB", size, (200, 100, 50)), "PNG")
    image = open_image({"path": None, "bytes": content}, "one")
    views = ViewTransform(16, 24, (0.0,) * 3, (1.0,) * 3, crop_scale)
    clip, diffusion, _ = views(image, np.random.default_rng(0))
    expected = np.broadcast_to(np.array([200, 100, 50]) / 255, (16, 16, 3))
    np.testing.assert_allclose(clip.permute(1, 2, 0), expected, atol=1e-6)
    assert diffusion is not None
    assert diffusion.shape == (3, 24, 24)


def test_the_middle_of_a_panorama_is_its_middle() -> None:
    wide = Image.fromarray(np.tile(np.arange(100, dtype=np.uint8), (2, 1)))
    assert np.asarray(middle(wide))[0].tolist() == list(range(42, 58))
    assert middle(wide.crop((0, 0, 16, 2))).size == (16, 2)


def test_a_hundred_megapixels_are_decoded_small_and_more_are_refused() -> None:
    content = encoded(Image.new("L", (10000, 10000), 80), "JPEG")
    image = open_image({"path": None, "bytes": content}, "large")
    clip = ViewTransform(16, None, (0.0,) * 3, (1.0,) * 3)(image, None).clip
    assert clip.mean().item() == pytest.approx(80 / 255, abs=0.01)
    assert image.width < 2000
    bomb = encoded(Image.new("1", (20000, 20000)), "PNG")
    with pytest.raises(UserError, match="cannot be read"):
        open_image({"path": None, "bytes": bomb}, "bomb")
