"""Memory allocation on CPUs; imports neither PyTorch nor anything else of this package."""

import ctypes
import os
import platform

# Parameters of mallopt (malloc.h).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def configure_memory() -> None:
    """Reduce the page faults of training on CPUs; results do not depend on it.

    Every training step allocates the same large blocks again. By default glibc maps each of them
    anew, and the kernel clears it page by page. Two settings avoid this:

    - glibc keeps freed blocks in the process (skipped where the C library is not glibc);
    - PyTorch asks for huge pages for large tensors: ``THP_MEM_ALLOC_ENABLE=1``, unless the
      environment sets this variable. Child processes inherit it.

    Call it first. PyTorch reads the variable once, at its first allocation, and importing Lightning
    or torchmetrics already allocates; importing torch does not.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        library.mallopt(_TOP_PAD, 2**28)
