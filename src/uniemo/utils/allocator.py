"""Memory on CPUs: have glibc keep what is freed."""

import ctypes
import platform

# mallopt's parameters (malloc.h).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Let no large block go back to the system; does nothing where the C library is not glibc.

    Every training step asks for the same large blocks again. By default glibc maps each of them
    anew, and the kernel clears it page by page.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        library.mallopt(_TOP_PAD, 2**28)
