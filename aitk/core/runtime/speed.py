"""Process settings that make TensorFlow faster on CPUs."""

from __future__ import annotations

import ctypes
import os
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

_MOST = 2**31 - 1
_GROWTH_BYTES = 2**26


def prefer_onednn() -> None:
    """Make TensorFlow use oneDNN; call it before the import.

    By default, it does so only on the newest processors, although those with AVX2 gain as much. An
    environment variable set by the user is respected.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def keep_freed_memory() -> None:
    """Make the C allocator keep freed memory instead of returning it to the system.

    A training step repeatedly allocates and frees the same hundreds of large arrays. By default,
    glibc maps each of more than 32 MiB (in threads other than the first, also smaller ones) from
    the kernel and unmaps it on release, and the kernel clears every page: half the time of training
    a small convolutional network. The price is that used memory stays with the process. Does
    nothing without glibc.

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
