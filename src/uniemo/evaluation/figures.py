"""Images and curves as text inside an HTML page.

Legend: H, h sides of images in pixels, gh x gw patches.
"""

import math
import re
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

import torch
from markupsafe import escape
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import draw_bounding_boxes

from uniemo.curriculum.curves import Series

LARGEST = 192  # pixels of an image's side in the page
SMALL = 96  # up to here a JPEG would show its blocks
HEAT = (1.0, 0.35, 0.0)  # colour of attention
BOX = (255, 255, 255)

# matplotlib knows no CSS variables, so these stand for the page's variables of the same names.
COLOURS = {"train": "#000001", "val": "#000002", "quiet": "#000003", "line": "#000004"}
SVG_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "uniemo",
    "font.size": 8,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.edgecolor": COLOURS["line"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    **{f"{axis}tick.color": COLOURS["quiet"] for axis in "xy"},
    **{f"{axis}tick.major.size": 0 for axis in "xy"},
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def data_uri(image: Tensor) -> str:
    """Return an image [3, H, H], uint8 or float in [0, 1], as a data URI."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    small: Image.Image = transforms.to_pil_image(image)
    buffer = BytesIO()
    if small.width > SMALL:
        small.thumbnail((LARGEST, LARGEST))
        small.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    else:
        small.save(buffer, "PNG")
        kind = "png"
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def attention_overlay(image: Tensor, attention: Tensor, box: Tensor) -> Tensor:
    """Lay an attention map over an image.

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
    grey = (
        large.clamp(0, 1).mean(dim=0, keepdim=True).expand(3, -1, -1)
    )  # a colour of the image could be taken for attention
    mixed = (1 - strength) * grey + strength * torch.tensor(HEAT)[:, None, None]
    overlay = (mixed * 255).round().to(torch.uint8)
    if box.isfinite().all():
        pixels = (box * (LARGEST - 1)).round()[None]
        overlay = draw_bounding_boxes(overlay, pixels, colors=[BOX], width=2)
    return overlay


def curve_svg(series: Sequence[Series], title: str) -> str:
    """Draw curves of one quantity over steps as an SVG that takes its colours from the page."""
    output = StringIO()
    with rc_context(SVG_SETTINGS):
        figure = Figure((3.2, 1.6), layout="constrained")
        axes = figure.add_subplot()
        axes.locator_params(nbins=3)
        for curve in series:
            points = [point for point in curve.points if all(map(math.isfinite, point))]
            if points:
                (line,) = axes.plot(*zip(*points, strict=True), color=COLOURS[curve.name])
                line.set(clip_on=False, marker="o" if len(points) == 1 else "")
        figure.savefig(output, format="svg", transparent=True, metadata=NO_METADATA)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", output.getvalue())  # the same in every figure
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    start = svg.index("<svg") + len("<svg")
    return f'<svg role="img" aria-label="{escape(title)}"{svg[start:]}'
