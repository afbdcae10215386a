"""Group normalisation (Wu and He 2018) in place of batch normalisation, in a whole model.

Its statistics are those of one row, so that rows of a batch do not mix: small batches train alike,
and each row has a gradient of its own (``core.privacy.private``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

#: Groups of a layer: the largest number up to this that divides its channels.
MOST_GROUPS = 16


def groups_of(channels: int) -> int:
    """How many groups the channels of a layer are divided into."""
    return max(each for each in range(1, MOST_GROUPS + 1) if channels % each == 0)


def with_normalization(
    model: keras.Model,
    kind: str,
    *,
    replace: Callable[[Any], keras.layers.Layer] | None = None,
) -> keras.Model:
    """The model as it is, or one of the same weights with group normalisation.

    Args:
        model: functional.
        kind: ``batch`` (nothing is done) or ``group``.
        replace: makes the layer that stands for one of batch normalisation; Keras' by default.
    """
    layers = _layers(model)
    normalized = [
        each for each in layers.values() if isinstance(each, keras.layers.BatchNormalization)
    ]
    if kind == "batch" or not normalized:
        return model
    config = model.get_config()
    stands_for = {
        each.name: keras.saving.serialize_keras_object((replace or _group_normalization)(each))
        for each in normalized
    }
    _replace_layers(config, stands_for)
    changed = type(model).from_config(config)
    for path, new in _layers(changed).items():
        old = layers[path]
        is_normalization = isinstance(old, keras.layers.BatchNormalization)
        new.set_weights([old.gamma, old.beta] if is_normalization else old.get_weights())
    return changed


def _group_normalization(layer: keras.layers.BatchNormalization) -> keras.layers.Layer:
    return keras.layers.GroupNormalization(
        groups=groups_of(layer.gamma.shape[0]), epsilon=1e-5, name=layer.name
    )


def _replace_layers(config: Any, stands_for: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace layers in the configuration of a functional model, and of models inside it."""
    if not isinstance(config, dict):
        return
    for layer in config.get("layers", ()):
        _replace_layers(layer.get("config"), stands_for)
        is_normalization = layer["class_name"].endswith("Normalization")
        if is_normalization and (other := stands_for.get(layer["name"])):
            layer |= {key: value for key, value in other.items() if key != "build_config"}
            layer.pop("build_config", None)
            for node in layer["inbound_nodes"]:
                node.get("kwargs", {}).pop("mask", None)


def _layers(model: keras.Model, path: str = "") -> dict[str, Any]:
    """The layers of a functional model and of models inside it, by their places."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        place = f"{path}/{layer.name}"
        found |= _layers(layer, place) if isinstance(layer, keras.Model) else {place: layer}
    return found
