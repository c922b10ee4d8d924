"""How many images fit into the U-Net at once.

Legend: B images.
"""

import math

import torch
from torch import Tensor

from uniemo.diffusion.stable_diffusion import StableDiffusion

DEFAULT = 16  # where free memory is not known
SHARE = 0.7  # of free memory; the rest is for what a step needs besides


def images_that_fit(head: StableDiffusion, conditioning: Tensor) -> int:
    """Return how many images' losses to compute at once, from the GPU's free memory.

    The chunks of a batch are made equally large. An image's need is what the U-Net keeps of it for
    the gradient, counted in one pass; on other devices the answer is :data:`DEFAULT`.

    Args:
        head: Frozen Stable Diffusion.
        conditioning: Hidden states of the prompts [B, T, W] of a batch.
    """
    n = len(conditioning)
    if head.device.type != "cuda":
        return DEFAULT
    free, _ = torch.cuda.mem_get_info(head.device)
    free += torch.cuda.memory_reserved(head.device) - torch.cuda.memory_allocated(head.device)
    return equal_chunk(n, max(1, int(SHARE * free / kept_bytes(head, conditioning[:1]))))


def equal_chunk(n: int, most: int) -> int:
    """Return the size of the fewest equally large chunks of n, none larger than ``most``."""
    return math.ceil(n / math.ceil(n / most))


def kept_bytes(head: StableDiffusion, conditioning: Tensor) -> int:
    """Count the bytes that the U-Net keeps of an image for the gradient of its prompt [1, T, W]."""
    weights = {p.untyped_storage()._cdata for p in head.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    own = conditioning.detach().requires_grad_()
    noisy = torch.zeros(1, *head.latent_shape, device=head.device)
    compiled, head.unet._compiled_call_impl = head.unet._compiled_call_impl, None
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        prediction = head.predict(noisy, torch.zeros(1, device=head.device), own)
    head.unet._compiled_call_impl = compiled
    del prediction  # its graph holds what was counted until here
    return sum(kept.values())
