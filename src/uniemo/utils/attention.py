"""Which of PyTorch's attention kernels trains fastest."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

SHORT = 256
"""Tokens up to which plain products train faster than the fused kernel, on CPUs in bfloat16; the
matrices of longer sequences would fill the memory."""


def training_attention(device: torch.device, tokens: int) -> AbstractContextManager[None]:
    """Return a context for a training step's forward pass; the backward pass follows it.

    The fused kernel's backward pass in bfloat16 on CPUs takes several times what plain products
    take. Everywhere else PyTorch's own choice stands.

    Args:
        device: Where the step runs.
        tokens: Length of the longest sequence in it.
    """
    if device.type == "cpu" and torch.is_autocast_enabled("cpu") and tokens <= SHORT:
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()
