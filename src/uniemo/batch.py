"""Names and shapes of what passes between the rooms of uniemo.

Legend: B images, D width of the CLIP vision transformer, h and H sides of the two views in pixels,
O number of object names.
"""

from typing import NamedTuple, NotRequired, TypedDict

from torch import Tensor


class Batch(TypedDict):
    """What a data loader yields: both views of the same pictures, and their labels."""

    clip_image: Tensor  # [B, 3, h, h] float, normalised with CLIP's own mean and deviation
    diffusion_image: NotRequired[Tensor]  # [B, 3, H, H] float in [-1, 1]; absent when not asked for
    latent: NotRequired[Tensor]  # [B, c, h, h] float, of the diffusion view; in joint epochs alone
    emotion: Tensor  # [B] long, index into EMOTIONS
    scene: Tensor  # [B] long, -1 where no scene is annotated
    objects: Tensor  # [B, O] bool, multi-label; all False where no object is annotated
    brightness: Tensor  # [B] float in [0, 1]
    colorfulness: Tensor  # [B] float in [0, 1]
    index: Tensor  # [B] long, row of the picture in its split
    flipped: Tensor  # [B] bool, whether both views were mirrored
    generated: Tensor  # [B] bool, True for pictures painted by the model (third phase)
    image_id: list[str]  # B names


class Annotations(NamedTuple):
    """All labels of one split, read without decoding a picture. N is the split's length."""

    emotion: Tensor  # [N] long
    scene: Tensor  # [N] long, -1 where none
    objects: Tensor  # [N, O] bool


class Request(NamedTuple):
    """One batch of images to generate."""

    number: int  # of the batch
    emotion: Tensor  # [B] long
    image_index: Tensor  # [B] long, number of the image within its emotion
    guidance_scale: float
    num_inference_steps: int


class Features(NamedTuple):
    """What the understanding chain reads from a picture (METHOD, "Understanding chain")."""

    emotion: Tensor  # fe [B, D]
    scene: Tensor  # fs [B, D]
    object: Tensor  # fo [B, D]
