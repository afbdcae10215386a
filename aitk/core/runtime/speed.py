"""Settings of a process with which TensorFlow is faster on CPUs."""

from __future__ import annotations

import ctypes
import os
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

_MOST = 2**31 - 1
_GROWTH_BYTES = 2**26


def prefer_onednn() -> None:
    """Have TensorFlow compute with oneDNN, before it is imported.

    By itself it does so on the newest processors alone, though those with AVX2 gain as much. What
    the user set in the environment stays as it is.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


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
