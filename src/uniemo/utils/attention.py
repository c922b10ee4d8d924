"""Choice of PyTorch's attention kernel for training."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

SHORT = 256
"""Longest sequence, in tokens, for which unfused attention is used: on CPUs in bfloat16 it trains
faster than the fused kernel, but its memory grows with the square of the length."""


def training_attention(device: torch.device, tokens: int) -> AbstractContextManager[None]:
    """Return a context that selects the attention kernel of a training step's forward pass.

    The backward pass uses the same kernel. On CPUs in bfloat16 the backward pass of the fused
    kernel is several times slower than that of unfused attention, so short sequences take the
    latter. In all other cases PyTorch chooses.

    Args:
        device: Device of the step.
        tokens: Length of the longest sequence in the step.
    """
    if device.type == "cpu" and torch.is_autocast_enabled("cpu") and tokens <= SHORT:
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()
