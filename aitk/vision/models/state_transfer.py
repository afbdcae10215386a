"""The same network for pictures of another size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from aitk.core.contract.errors import UsageError
from aitk.vision.models.backbones.batch_norm import FusedBatchNormalization
from aitk.vision.models.backbones.patch_maps import grid_of, spread_positions
from aitk.vision.models.backbones.stem import MOMENTUM
from aitk.vision.models.input_scaling import picture_input


def at_size(backbone: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The same backbone for pictures of a size; itself where it reads that size already.

    The positions that a transformer has learned are spread over the new grid.

    Args:
        size: (height, width).

    Raises:
        UsageError: the patches of a transformer do not divide the size.
    """
    if tuple(backbone.input_shape[1:3]) == tuple(size):
        return backbone
    return copy_network(backbone, picture_input(size), size)


def copy_network(
    model: keras.Model,
    picture: keras.KerasTensor,
    size: tuple[int, int],
    *,
    clone: Callable[[Any, tuple[int, int]], Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> keras.Model:
    """The same layers on a new input, with the same weights.

    Args:
        picture: the new input.
        size: (height, width) of it.
        clone: makes a layer anew; by default ``clone_layer``.
        call: calls a new layer with its name and arguments, to put others around it.
    """
    clone = clone or clone_layer
    plain = keras.Model(model.input, model.output, name="backbone")
    copy = keras.models.clone_model(
        plain,
        input_tensors=picture,
        clone_function=lambda layer: clone(layer, size),
        call_function=call,
    )
    known = {layer.name: layer for layer in plain.layers}
    for layer in copy.layers:
        if layer.weights:
            _copy_weights(known[layer.name], layer)
    return copy


def clone_layer(layer: Any, size: tuple[int, int]) -> Any:
    """A layer with the same configuration, but for pictures of a size, and without weights."""
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a plain operation: it holds nothing
    config = layer.get_config()
    if "image_size" in config and "patch_size" in config:
        if any(side % patch for side, patch in zip(size, config["patch_size"], strict=True)):
            raise UsageError(
                f"patches of {' x '.join(map(str, config['patch_size']))} pixels do not divide"
                f" pictures of {size[0]} x {size[1]}",
                where="image_size",
            )
        config["image_size"] = size
    if isinstance(layer, keras.layers.BatchNormalization):
        config["momentum"] = min(config["momentum"], MOMENTUM)
    kind = type(layer)
    if kind is keras.layers.BatchNormalization:
        kind = FusedBatchNormalization
    copy = kind.from_config(config)
    copy.name = layer.name  # some of Keras Hub's lengthen it
    return copy


def _copy_weights(source: Any, target: Any) -> None:
    values = source.get_weights()
    for index, (weight, value) in enumerate(zip(target.weights, values, strict=True)):
        if tuple(weight.shape) != value.shape and weight.path.endswith("embeddings"):
            old, new = (grid_of(each.image_size, each.patch_size) for each in (source, target))
            values[index] = spread_positions(value, old, new)
    target.set_weights(values)
