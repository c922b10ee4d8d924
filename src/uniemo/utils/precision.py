"""Default precision of a trainer."""

from typing import Any, Literal

import torch
from lightning import Fabric

Precision = Literal["bf16-mixed", "32-true"]


def native_precision(accelerator: str) -> Precision:
    """Return ``bf16-mixed`` where the device computes in bfloat16 natively, else ``32-true``.

    Emulated bfloat16 is slower than float32, so a CPU needs avx512_bf16 (reported by PyTorch 2.10
    and later) and a GPU the Ampere architecture or a later one.

    Args:
        accelerator: Lightning's name of the accelerator: ``cpu``, ``gpu``, ``auto``, ...
    """
    device = Fabric(accelerator=accelerator, devices=1).device
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        native = device.type == "cpu" and bool(capabilities.get("avx512_bf16"))
    return "bf16-mixed" if native else "32-true"
