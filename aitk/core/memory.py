"""Keep the memory that a step freed for the next one."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

_MOST = 2**31 - 1
_GROWTH_BYTES = 2**26


def keep_freed_memory() -> None:
    """Let this process's C allocator keep what it has, rather than give it back and ask again.

    A training step allocates and frees the same hundreds of large arrays again and again. By
    default glibc maps each of more than 32 MiB (in threads other than the first, also smaller
    ones) from the kernel and unmaps it when it is freed, and the kernel clears every page on the
    way: half the time of training a small convolutional network. The price is that memory once
    used stays with the process. Elsewhere than under glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _MOST)
    mallopt(_TOP_PAD, _GROWTH_BYTES)
