"""Keras' int8 weights: saved as configuration and weights, and rebuilt from both.

A quantised ``.keras`` file of a model with attention cannot be loaded (Keras 3.15), while
rebuilding the float model, quantising it and loading its weights is exact. Only dense and embedding
layers are quantised, and on a CPU the result is smaller but not faster.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from aitk.core.artifacts.keras_file import (
    LARGEST_CONFIG_BYTES,
    LIBRARY_ERRORS,
    bounded_weights,
    damaged,
    register_layers,
)
from aitk.core.compression.arithmetic import CONVOLUTION, ON_THE_FLY, PRODUCT
from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import read_text
from aitk.core.io.values import parse_json

if TYPE_CHECKING:
    import keras

CONFIGURATION = "model.json"


def save_quantized(model: keras.Model, weights: Path) -> None:
    """Quantise a float model in place and write ``weights``, with ``model.json`` next to it."""
    configuration = weights.with_name(CONFIGURATION)
    configuration.write_text(model.to_json(), encoding="utf-8")
    model.quantize("int8")
    model.save_weights(weights)


def count_quantized(model: keras.Model) -> dict[str, dict[str, int]]:
    """The number of layers with a kernel per number format (see ``arithmetic``)."""
    counts: dict[str, Counter[str]] = {}
    for layer in model._flatten_layers():
        kernel = getattr(layer, "_kernel", None)
        if kernel is None:
            continue
        kind = CONVOLUTION if len(kernel.shape) > 2 and "Conv" in type(layer).__name__ else PRODUCT
        quantized = getattr(layer, "quantization_mode", None) == "int8"
        counts.setdefault(kind, Counter())[ON_THE_FLY if quantized else "float32"] += 1
    return {kind: dict(each) for kind, each in counts.items()}


def load_quantized(weights: Path) -> keras.Model:
    """Rebuild a model written by ``save_quantized``.

    Raises:
        ArtifactError: a file is missing or damaged, or the two do not match.
    """
    import keras

    configuration = weights.with_name(CONFIGURATION)
    if not configuration.is_file():
        raise ArtifactError(f"{CONFIGURATION} is missing", where=str(weights.parent))
    try:
        text = read_text(configuration, largest_bytes=LARGEST_CONFIG_BYTES)
        register_layers(parse_json(text))
        with bounded_weights(weights.stat().st_size, where=str(weights)):
            model = keras.models.model_from_json(text)
    except LIBRARY_ERRORS as error:
        raise damaged(configuration, error) from error
    if not isinstance(model, keras.Model):
        raise ArtifactError("does not describe a model", where=str(configuration))
    try:
        model.quantize("int8")
        model.load_weights(weights)
    except LIBRARY_ERRORS as error:
        raise damaged(weights, error) from error
    return model
