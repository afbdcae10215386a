"""Suppresses TensorFlow's log output, without importing TensorFlow.

Its C++ log level comes from the environment, but messages during import ignore all settings. So
standard error is closed for just that time, and reopened if the import fails.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import IO

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "true",
}


def debugging() -> bool:
    """Whether ``AITK_DEBUG`` requests tracebacks and library messages."""
    return os.environ.get("AITK_DEBUG", "").lower() not in ("", "0", "false", "no")


def silence() -> None:
    """Silence the libraries for the rest of this process and its children.

    Environment variables set by the user are respected; ``AITK_DEBUG`` enables all output.
    """
    if debugging():
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("absl", "tensorflow", "tf2onnx", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|keras_hub|tensorflow|tf2onnx)(\.|$)")
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Drop native output to standard error; replay it if an import in the block fails."""
    if debugging():
        yield
        return
    _flush_stderr()
    screen = os.dup(2)
    with _kept_bytes() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ImportError:
            kept.seek(0)
            os.write(screen, kept.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)


@contextlib.contextmanager
def capture_stderr() -> Iterator[Callable[[], bytes]]:
    """Redirect native output to standard error away from the terminal.

    Yields a function that returns the output so far.

    Only one thread at a time, because all share standard error.
    """
    with _one_capture, _kept_bytes() as kept:
        _flush_stderr()
        screen = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield lambda: os.pread(kept.fileno(), _CAPTURED_BYTES, 0)
        finally:
            os.dup2(screen, 2)
            os.close(screen)


def _flush_stderr() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _kept_bytes() -> IO[bytes]:
    """An anonymous file: in memory if supported, so that a full disk does not matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


_one_capture = threading.Lock()
_CAPTURED_BYTES = 1 << 16


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow like Python, with a loader that silences it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        # Stays installed: some packages search for TensorFlow long before it is imported.
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with suppress_stderr():
            self._loader.exec_module(module)
