"""Keras' own int8 weights: written as a configuration and weights, and rebuilt from both.

A quantised ``.keras`` file of a model with attention does not load again (Keras 3.15), while the
float model rebuilt, quantised and then given its weights is exact. Only dense and embedding
layers are quantised, and on a CPU the result is smaller but no faster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from aitk.core.errors import ArtifactError
from aitk.core.keras_file import damaged, register_layers

if TYPE_CHECKING:
    import keras

CONFIGURATION = "model.json"


def save_quantized(model: keras.Model, weights: Path) -> None:
    """Quantise a float model in place and write ``weights``, with ``model.json`` beside it."""
    configuration = weights.with_name(CONFIGURATION)
    configuration.write_text(model.to_json(), encoding="utf-8")
    model.quantize("int8")
    model.save_weights(weights)


def load_quantized(weights: Path) -> keras.Model:
    """Rebuild what ``save_quantized`` wrote.

    Raises:
        ArtifactError: one of the two files is missing, damaged, or fits the other not.
    """
    import keras

    configuration = weights.with_name(CONFIGURATION)
    if not configuration.is_file():
        raise ArtifactError(f"{CONFIGURATION} is missing", where=str(weights.parent))
    try:
        text = configuration.read_text(encoding="utf-8")
        register_layers(json.loads(text))
        model = keras.models.model_from_json(text)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise damaged(configuration, error) from error
    if not isinstance(model, keras.Model):
        raise ArtifactError("describes no model", where=str(configuration))
    model.quantize("int8")
    try:
        model.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise damaged(weights, error) from error
    return model
