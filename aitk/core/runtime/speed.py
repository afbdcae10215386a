"""Process settings that make Python and TensorFlow faster on CPUs."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import types

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

_MOST = 2**31 - 1
_GROWTH_BYTES = 2**26
_WRAPPERS = "keras.src.wrappers.sklearn_wrapper"
_WRAPPER_NAMES = ("SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer")


def tune_process() -> None:
    """The settings of a process that runs aitk alone; call it before TensorFlow is imported."""
    prefer_onednn()
    _collect_rarely()
    _leave_out_wrappers()


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


def _collect_rarely() -> None:
    """Make Python search for cyclic garbage after 50,000 new objects instead of 700.

    Imports and rows in memory are many objects and hardly any garbage: importing TensorFlow takes
    a sixth less time, and encoding rows a tenth less.
    """
    gc.set_threshold(50_000, 20, 10)


def _leave_out_wrappers() -> None:
    """Make ``import keras`` leave out its wrappers for scikit-learn.

    Nothing here uses them, and they import scikit-learn and SciPy's statistics: a fifth of the
    time that Keras takes to start.
    """
    if "keras" in sys.modules or _WRAPPERS in sys.modules:
        return
    module = types.ModuleType(_WRAPPERS)
    vars(module).update(dict.fromkeys(_WRAPPER_NAMES))
    sys.modules[_WRAPPERS] = module
