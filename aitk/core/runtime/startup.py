"""Starting Keras and its backend, which takes seconds, with a message to the user."""

from __future__ import annotations

import os
import sys

from aitk.core.artifacts.run import Run
from aitk.core.contract.progress import Reporter

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def start_keras(reporter: Reporter) -> None:
    """Import Keras with its backend, unless already done, and report it."""
    if "keras" not in sys.modules:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        reporter.status(f"starting {NAMES.get(backend, backend)}")
        import keras  # noqa: F401


def start_runtime(run: Run, reporter: Reporter) -> None:
    """Start Keras if a run's model needs it: LiteRT and ONNX files do not."""
    if run.format not in ("litert", "onnx"):
        start_keras(reporter)
