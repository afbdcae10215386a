"""Keep TensorFlow's own noise off the screen, without importing TensorFlow.

Its C++ log level comes from the environment, but what it says while it is being imported obeys
no setting. So standard error is closed for just that long, and opened again if the import fails.
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
    """Whether ``AITK_DEBUG`` asks for tracebacks and for what libraries say."""
    return os.environ.get("AITK_DEBUG", "").lower() not in ("", "0", "false", "no")


def silence() -> None:
    """Hush the libraries for the rest of this process and its children.

    What the user set in the environment stays as it is; ``AITK_DEBUG`` lets everything be heard.
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
    """Drop what native code writes to standard error; repeat it if an import in it fails."""
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
    """Keep what native code writes to standard error from the terminal.

    Yields a function that gives what was written so far.

    One thread at a time, since all of them share standard error.
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
    """A nameless file: in memory where the system can, so that a full disk does not matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


_one_capture = threading.Lock()
_CAPTURED_BYTES = 1 << 16


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as Python would, with a loader that keeps it quiet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        # Stays in place: some packages look for TensorFlow long before anybody imports it.
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
