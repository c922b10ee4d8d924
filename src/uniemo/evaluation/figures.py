"""Pictures and curves as text that stands inside an HTML page.

Legend: H, h sides of pictures in pixels, gh x gw patches.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import draw_bounding_boxes

from uniemo.curriculum.curves import Series

LARGEST = 192  # pixels of a picture's side in the page
SMALL = 96  # up to here a JPEG would show its blocks
HEAT = (1.0, 0.35, 0.0)  # colour of attention
BOX = (255, 255, 255)


def data_uri(image: Tensor) -> str:
    """Return a picture [3, H, H], uint8 or float in [0, 1], as a data URI."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    picture: Image.Image = transforms.to_pil_image(image)
    buffer = BytesIO()
    if picture.width > SMALL:
        picture.thumbnail((LARGEST, LARGEST))
        picture.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    else:
        picture.save(buffer, "PNG")
        kind = "png"
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def attention_overlay(image: Tensor, attention: Tensor, box: Tensor) -> Tensor:
    """Lay an attention map over a picture.

    Args:
        image: [3, h, h] in [0, 1].
        attention: [gh, gw]; its peak becomes the strongest colour.
        box: [4] left, top, right, bottom in [0, 1], drawn unless it is NaN.

    Returns:
        [3, 192, 192] uint8.
    """
    size = (LARGEST, LARGEST)
    large = F.interpolate(image[None].float(), size, mode="bicubic", antialias=True)[0]
    strength = F.interpolate(attention[None, None].float(), size, mode="bilinear")[0]  # [1, ., .]
    strength = 0.75 * strength / strength.amax().clamp(min=1e-12)
    grey = large.clamp(0, 1).mean(dim=0, keepdim=True).expand(3, -1, -1)  # colours would mislead
    mixed = (1 - strength) * grey + strength * torch.tensor(HEAT)[:, None, None]
    picture = (mixed * 255).round().to(torch.uint8)
    if box.isfinite().all():
        pixels = (box * (LARGEST - 1)).round()[None]
        picture = draw_bounding_boxes(picture, pixels, colors=[BOX], width=2)
    return picture


def curve_svg(series: Sequence[Series], title: str) -> str:
    """Draw curves of one quantity over steps as an SVG that takes its colours from the page."""
    width, height, left, bottom = 300, 150, 44, 22
    points = [point for s in series for point in s.points if all(map(_finite, point))]
    if not points:
        return ""
    (x0, x1), (y0, y1) = (_range([p[i] for p in points]) for i in (0, 1))

    def place(point: tuple[float, float]) -> str:
        x = left + (point[0] - x0) / (x1 - x0) * (width - left - 8)
        y = 8 + (y1 - point[1]) / (y1 - y0) * (height - bottom - 16)
        return f"{x:.1f},{y:.1f}"

    lines = []
    for s in series:
        finite = [p for p in s.points if all(map(_finite, p))]
        lines.append(
            f'<polyline class="{s.name}" points="{" ".join(place(p) for p in finite)}"/>'
            if len(finite) > 1
            else "".join(
                f'<circle class="{s.name}" cx="{x}" cy="{y}" r="3"/>'
                for x, y in (place(p).split(",") for p in finite)
            )
        )
    floor = height - bottom
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
        f'<path class="axis" d="M{left} 4V{floor}H{width - 4}"/>'
        f'<text x="{left - 4}" y="14" text-anchor="end">{y1:.3g}</text>'
        f'<text x="{left - 4}" y="{floor - 2}" text-anchor="end">{y0:.3g}</text>'
        f'<text x="{left}" y="{height - 6}">{x0:.0f}</text>'
        f'<text x="{width - 6}" y="{height - 6}" text-anchor="end">step {x1:.0f}</text>'
        f"{''.join(lines)}</svg>"
    )


def _finite(number: float) -> bool:
    return number - number == 0


def _range(numbers: list[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
