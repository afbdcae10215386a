"""Starting Keras and its backend, which takes seconds, in sight of the user."""

from __future__ import annotations

import os
import sys

from aitk.core.artifacts.run import Run
from aitk.core.contract.progress import Reporter

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def start_keras(reporter: Reporter) -> None:
    """Import Keras with its backend, unless that is done, and say so."""
    if "keras" not in sys.modules:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        reporter.status(f"starting {NAMES.get(backend, backend)}")
        import keras  # noqa: F401


def start_runtime(run: Run, reporter: Reporter) -> None:
    """Start Keras where the model of a run needs it: LiteRT and ONNX files do not."""
    if run.format not in ("litert", "onnx"):
        start_keras(reporter)
