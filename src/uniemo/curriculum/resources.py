"""What a phase needs of the machine, checked before its work begins."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from uniemo.diffusion.sampler import build_scheduler
from uniemo.errors import UserError
from uniemo.model import UniEmo
from uniemo.model.optimizer import trained_parameters

MEMORY = Path("/proc/meminfo")


def check_sampling(model: UniEmo) -> None:
    """Check the settings of generation, which a training uses only at its end.

    Raises:
        UserError: If the prompt has no place for the word, or the scheduler is unknown.
    """
    if model.head is not None:
        model.head.prompts.tokenize(model.painter.prompt)
        build_scheduler(model.head, model.painter.sampling.scheduler)


def check_training(model: UniEmo, folder: Path, device: torch.device) -> None:
    """Check that the disk has room for the checkpoints, and the memory for the training's state.

    Raises:
        UserError: If not.
    """
    trained = _bytes(parameter for *_, parameter in trained_parameters(model))
    weights = _bytes(model.state_dict().values())
    check_disk(folder, weights + 2 * (weights + 2 * trained), "best.ckpt and two last.ckpt")
    # Gradients and AdamW's two moments; what a batch needs comes on top.
    check_memory(device, 3 * trained + (0 if device.type == "cpu" else _bytes(model.parameters())))


def check_images(n_images: int, side: int, folder: Path) -> None:
    """Check that the disk has room for PNG files of [3, side, side], half the size of their pixels.

    Raises:
        UserError: If not.
    """
    check_disk(folder, n_images * 3 * side**2 // 2, f"{n_images:,} images")


def check_disk(folder: Path, needed: int, what: str) -> None:
    """Check the free disk space.

    Args:
        folder: It need not exist yet.
        needed: Bytes.
        what: What needs them.

    Raises:
        UserError: If there is too little.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UserError(
            f"{folder} needs {needed / 1e9:.1f} GB for {what}, but {free / 1e9:.1f} GB are free; "
            "make room, or choose another disk by --runs"
        )


def check_memory(device: torch.device, needed: int) -> None:
    """Check the free memory of a device, as far as the system tells it.

    Raises:
        UserError: If there are fewer than ``needed`` bytes.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif MEMORY.is_file():
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        free = 1024 * int(lines["MemAvailable"].split()[0])
    else:
        return
    if needed > free:
        raise UserError(
            f"gradients and moments need {needed / 1e9:.1f} GB of memory on {device}, but "
            f"{free / 1e9:.1f} GB are free; end other programs, or train a smaller CLIP"
        )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
