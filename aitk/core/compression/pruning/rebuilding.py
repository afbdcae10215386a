"""The same network of fresh layers, some of them narrower or replaced.

Keras Hub's transformer blocks become ``NarrowEncoder``s, whose heads and units can be fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def opened(model: keras.Model) -> keras.Model:
    """The same network of layers that can be narrowed: Keras Hub's backbones become plain
    functional models, and its blocks ``NarrowEncoder``s."""
    return rebuild(model, {}, {})


def layers_of(model: Any) -> Iterator[Any]:
    """The layers of a functional model and of those nested in it, in their order."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Function):
            yield from layers_of(layer)
        else:
            yield layer


def changed(layer: Any, **changes: Any) -> Any:
    """A fresh layer of the same kind, with other settings and no weights yet."""
    return type(layer).from_config(layer.get_config() | changes)


def rebuild(
    model: Any,
    replaced: Mapping[int, Callable[[Any], Any]],
    copies: dict[int, Any],
    weights: Mapping[int, Mapping[str, np.ndarray]] | None = None,
) -> keras.Model:
    """A functional model of fresh layers with the same weights, some of them replaced.

    Args:
        replaced: id of a layer -> what makes another one of it.
        copies: id of a layer -> its copy.
        weights: id of a layer -> path of a weight -> its value where it is another one.
    """
    import keras

    def copy(layer: Any) -> Any:
        if id(layer) not in copies:
            copies[id(layer)] = fresh(layer)
        return copies[id(layer)]

    def fresh(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer
        if isinstance(layer, keras.Function):
            return rebuild(layer, replaced, copies, weights)
        if id(layer) in replaced:
            made = replaced[id(layer)](layer)
        elif _is_hub_block(layer):
            made = _narrow_encoder(layer)
        else:
            made = type(layer).from_config(layer.get_config())
        made.name = layer.name  # some of Keras Hub's lengthen it
        return made

    plain = model
    if type(model) is not keras.Model and "layers" not in model.get_config():
        plain = keras.Model(model.input, model.output, name=model.name)
    rebuilt = keras.models.clone_model(plain, clone_function=copy)
    for layer in plain.layers:
        if isinstance(layer, keras.Function) or not layer.weights:
            continue
        target = copies[id(layer)]
        if _is_hub_block(layer):
            _fill_from_hub(layer, target)
        elif target.weights:
            own = (weights or {}).get(id(layer), {})
            target.set_weights([own.get(each.path, each.numpy()) for each in layer.weights])
    return rebuilt


def _is_hub_block(layer: Any) -> bool:
    kind = type(layer)
    return kind.__name__ == "TransformerEncoder" and kind.__module__.startswith("keras_hub.")


def _narrow_encoder(layer: Any) -> Any:
    from aitk.core.layers.narrow_encoder import NarrowEncoder

    kernel = layer._self_attention_layer._query_dense.kernel  # (hidden, heads, size)
    return NarrowEncoder(
        heads=kernel.shape[1],
        head_size=kernel.shape[2],
        width=layer._feedforward_intermediate_dense.units,
        dropout=layer.dropout,
        activation=layer._feedforward_intermediate_dense.activation,
        epsilon=layer.layer_norm_epsilon,
        norm_first=layer.normalize_first,
        dtype=layer.dtype_policy,
        name=layer.name,
    )


def _fill_from_hub(layer: Any, target: Any) -> None:
    """Copy the weights of Keras Hub's block, whose heads are an axis of their own."""
    attention = layer._self_attention_layer
    pairs = [
        (attention._query_dense, target.query_dense),
        (attention._key_dense, target.key_dense),
        (attention._value_dense, target.value_dense),
        (attention._output_dense, target.output_dense),
        (layer._feedforward_intermediate_dense, target.in_dense),
        (layer._feedforward_output_dense, target.out_dense),
        (layer._self_attention_layer_norm, target.attention_norm),
        (layer._feedforward_layer_norm, target.dense_norm),
    ]
    for theirs, ours in pairs:
        for old, new in zip(theirs.weights, ours.weights, strict=True):
            new.assign(old.numpy().reshape(new.shape))
