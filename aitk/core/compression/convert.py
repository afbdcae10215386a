"""The conversion process, ``python -m aitk.core.compression.convert``, for ``export``.

A job is a folder. It holds ``job.json`` and the calibration batches, and gets ``result.json``. The
first scheme of the job that suits the model is used.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from aitk.core.compression.arithmetic import count_layers
from aitk.core.compression.calibration import Batches, Calibration, Unsuitable
from aitk.core.compression.graphs import serving_function, signature
from aitk.core.compression.quantize import count_quantized, save_quantized
from aitk.core.runtime.forking import serve
from aitk.core.runtime.silence import silence
from aitk.core.runtime.speed import tune_process


def main(folder: Path) -> None:
    """Run the job described in the folder."""
    from aitk.core.artifacts.keras_file import load_keras

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    # LiteRT has no bfloat16 kernels for matrix products.
    model = load_keras(Path(job["source"]), float32=True)
    target, format = Path(job["target"]), job["format"]
    calibration = Calibration(folder)
    refused: dict[str, str] = {}
    for scheme in job["schemes"]:
        try:
            write(model, target, format=format, scheme=scheme, calibration=calibration)
        except Unsuitable as error:
            refused[scheme] = str(error)
            continue
        layers = count_layers(target, format=format)
        if format == "keras-quantized":
            layers = count_quantized(model, scheme=scheme)
        result = {"scheme": scheme, "refused": refused, "layers": layers}
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
        return
    sys.exit("; ".join(f"{scheme}: {reason}" for scheme, reason in refused.items()))


def write(model: Any, target: Path, *, format: str, scheme: str, calibration: Batches = ()) -> None:
    """Convert a Keras model to another format with one scheme.

    Raises:
        Unsuitable: the scheme does not suit the model.
    """
    if format == "litert":
        from aitk.core.compression.litert_file import write_litert

        write_litert(model, target, scheme=scheme, calibration=calibration)
    elif format == "onnx":
        from aitk.core.compression.onnx_file import write_onnx

        write_onnx(model, target, scheme=scheme, calibration=calibration)
    elif format == "saved_model":
        write_saved_model(model, target)
    else:
        save_quantized(model, target, scheme=scheme)


def write_saved_model(model: Any, target: Path) -> None:
    """Write a TensorFlow SavedModel with one signature, ``serving_default``."""
    import tensorflow as tf

    module = tf.Module()
    module.model = model
    function = serving_function(model).get_concrete_function(signature(model))
    named = tf.function(lambda **inputs: function(inputs), autograph=False)
    tf.saved_model.save(
        module,
        str(target),
        signatures={"serving_default": named.get_concrete_function(**signature(model))},
    )


if __name__ == "__main__":
    silence()
    tune_process()
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    serve(main)
