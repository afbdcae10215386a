"""Copies weights into another network: for another image size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from aitk.core.contract.errors import UsageError
from aitk.vision.models.backbones.blocks import MOMENTUM, FusedBatchNormalization
from aitk.vision.models.backbones.patch_maps import interpolate_positions, patch_grid
from aitk.vision.models.input_scaling import image_input


def resize_input(backbone: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The backbone for images of a size; unchanged if it already has that size.

    Position embeddings of a transformer are interpolated to the new grid.

    Args:
        size: (height, width).

    Raises:
        UsageError: the size is not divisible by the patches of a transformer.
    """
    if tuple(backbone.input_shape[1:3]) == tuple(size):
        return backbone
    return copy_network(backbone, image_input(size), size)


def copy_network(
    model: keras.Model,
    image: keras.KerasTensor,
    size: tuple[int, int],
    *,
    clone: Callable[[Any, tuple[int, int]], Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> keras.Model:
    """The same layers and weights on a new input.

    Args:
        image: the new input.
        size: (height, width) of the new input.
        clone: copies a layer; by default ``clone_layer``.
        call: calls a new layer with its name and arguments, for instance to wrap it.
    """
    clone = clone or clone_layer
    plain = keras.Model(model.input, model.output, name="backbone")
    copy = keras.models.clone_model(
        plain,
        input_tensors=image,
        clone_function=lambda layer: clone(layer, size),
        call_function=call,
    )
    known = {layer.name: layer for layer in plain.layers}
    for layer in copy.layers:
        if layer.weights:
            _copy_weights(known[layer.name], layer)
    return copy


def clone_layer(layer: Any, size: tuple[int, int]) -> Any:
    """A layer with the same configuration for another image size, without weights."""
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a plain operation has no state
    config = layer.get_config()
    if "image_size" in config and "patch_size" in config:
        if any(side % patch for side, patch in zip(size, config["patch_size"], strict=True)):
            raise UsageError(
                f"patches of {' x '.join(map(str, config['patch_size']))} pixels do not divide"
                f" images of {size[0]} x {size[1]}",
                where="image_size",
            )
        config["image_size"] = size
    if isinstance(layer, keras.layers.BatchNormalization):
        config["momentum"] = min(config["momentum"], MOMENTUM)
    kind = type(layer)
    if kind is keras.layers.BatchNormalization:
        kind = FusedBatchNormalization
    copy = kind.from_config(config)
    copy.name = layer.name  # some Keras Hub layers extend it
    return copy


def _copy_weights(source: Any, target: Any) -> None:
    values = source.get_weights()
    for index, (weight, value) in enumerate(zip(target.weights, values, strict=True)):
        if tuple(weight.shape) != value.shape and weight.path.endswith("embeddings"):
            old, new = (patch_grid(each.image_size, each.patch_size) for each in (source, target))
            values[index] = interpolate_positions(value, old, new)
    target.set_weights(values)
