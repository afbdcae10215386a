"""Weights moved into another network: for images of another size, or for more classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.vision.models.backbones.blocks import MOMENTUM, FusedBatchNormalization
from aitk.vision.models.backbones.patch_maps import interpolate_positions, patch_grid
from aitk.vision.models.input_scaling import image_input


def resize_input(backbone: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The same backbone for images of a size; itself where it reads that size already.

    The positions that a transformer has learned are spread over the new grid.

    Args:
        size: (height, width).

    Raises:
        UsageError: the patches of a transformer do not divide the size.
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
    """The same layers on a new input, with the same weights.

    Args:
        image: the new input.
        size: (height, width) of it.
        clone: makes a layer anew; by default ``clone_layer``.
        call: calls a new layer with its name and arguments, to put others around it.
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
    """A layer with the same configuration, but for images of a size, and without weights."""
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a plain operation: it holds nothing
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
    copy.name = layer.name  # some of Keras Hub's lengthen it
    return copy


def _copy_weights(source: Any, target: Any) -> None:
    values = source.get_weights()
    for index, (weight, value) in enumerate(zip(target.weights, values, strict=True)):
        if tuple(weight.shape) != value.shape and weight.path.endswith("embeddings"):
            old, new = (patch_grid(each.image_size, each.patch_size) for each in (source, target))
            values[index] = interpolate_positions(value, old, new)
    target.set_weights(values)


def copy_grown_weights(model: keras.Model, grown: keras.Model, *, added: Mapping[str, int]) -> None:
    """Fill the weights of a model for more classes from those of one for fewer.

    Both are built alike, and new classes follow the old ones: a weight that is longer along its
    last axis keeps its own fresh values for the new classes. Weights they share are left alone.

    Args:
        added: what the names of a head's layers begin with ("" for all) -> how many classes are
            new in it. An axis that grew by a multiple of it holds the classes that many times,
            once for each anchor.
    """
    known = {id(weight) for weight in model.weights}
    needed = {id(weight) for weight in grown.weights}
    old = [weight for weight in model.weights if id(weight) not in needed]
    new = [weight for weight in grown.weights if id(weight) not in known]
    for smaller, larger in zip(old, new, strict=True):
        if smaller.shape == larger.shape:
            larger.assign(smaller.value)
            continue
        classes = next(count for start, count in added.items() if _is_in(larger, start))
        larger.assign(_widened(_array(smaller), _array(larger), added=classes))


def _is_in(weight: Any, start: str) -> bool:
    """Whether it belongs to a layer whose name begins so."""
    return any(part.startswith(start) for part in weight.path.split("/"))


def _widened(old: np.ndarray, new: np.ndarray, *, added: int) -> np.ndarray:
    """The new array (..., times * more) with the old one (..., times * fewer) in its place."""
    times = (new.shape[-1] - old.shape[-1]) // added
    wide = new.reshape(*new.shape[:-1], times, -1).copy()
    wide[..., : old.shape[-1] // times] = old.reshape(*old.shape[:-1], times, -1)
    return wide.reshape(new.shape)


def _array(weight: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight.value)
