"""Compilation of the networks that a step spends its time in (torch.compile)."""

import os
from pathlib import Path

import torch

from uniemo.diffusion import StableDiffusion
from uniemo.understanding import UnderstandingChain

CACHE = Path("~/.cache/uniemo/compiled")
"""Where compiled kernels stay for later runs, unless TORCHINDUCTOR_CACHE_DIR names a folder."""


def compile_networks(
    chain: UnderstandingChain, head: StableDiffusion | None, backend: str = "inductor"
) -> Path:
    """Compile CLIP's blocks, the U-Net and the VAE's decoder in place; return where kernels stay.

    The blocks are compiled one by one: being alike, they share one compilation for each length of
    their sequence. The U-Net becomes channels-last before, or compiled training would turn its
    images over at every convolution. Kernels are made at the first call.
    """
    folder = os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(CACHE.expanduser()))
    for block in chain.visual.transformer.resblocks:
        block.compile(backend=backend)
    if head is not None:
        head.unet.to(memory_format=torch.channels_last)
        head.unet.compile(backend=backend)
        head.vae.decoder.compile(backend=backend)
    return Path(folder)
