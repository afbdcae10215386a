"""A Keras model as the graph that converters read: its signature, its operations, its layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from aitk.core.contract.model_spec import ONLY_OUTPUT

#: How the operations of a recurrent loop begin.
LOOPS = "TensorList"


def serving_function(model: Any) -> Any:
    """The model without dropout, from a dict of inputs to its outputs in float32."""
    import keras
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(inputs: Mapping[str, Any]) -> Any:
        given = keras.tree.map_structure(lambda spec: inputs[spec.name], model.input)
        outputs = model(given, training=False)
        if not isinstance(outputs, Mapping):
            outputs = {ONLY_OUTPUT: outputs}
        return {name: tf.cast(array, tf.float32) for name, array in outputs.items()}

    return call


def output_names(model: Any) -> list[str]:
    """The names of what ``serving_function`` gives, in the order of a flattened dict."""
    return sorted(model.output) if isinstance(model.output, Mapping) else [ONLY_OUTPUT]


def signature(model: Any, *, batch: int | None = None) -> dict[str, Any]:
    """The specs of the model's inputs for a number of rows."""
    import tensorflow as tf

    return {
        spec.name: tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, name=spec.name)
        for spec in model.inputs
    }


def freeze(model: Any, *, batch: int | None) -> Any:
    """A concrete function whose weights are constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    function = serving_function(model).get_concrete_function(signature(model, batch=batch))
    return convert_variables_to_constants_v2(function)


def operations_of(function: Any, *, apart_from: Collection[str] = ()) -> set[str]:
    """The kinds of operation of a graph, without those of the layers that are named."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    return {node.op for node in nodes if not is_in(node.name, apart_from)}


def float32_layers(model: Any) -> list[str]:
    """The names of the layers that stay in float32, whatever the network is quantised to.

    A layer says so by an attribute ``keeps_float32``: one that decodes a network's outputs, as
    boxes that compete.
    """
    return [layer.name for layer in model.layers if getattr(layer, "keeps_float32", False)]


def is_in(name: str, layers: Collection[str]) -> bool:
    """Whether an operation belongs to one of the layers; a copy of a layer is numbered."""
    parts = {re.sub(r"_\d+$", "", part) for part in re.split("[/;]", name)}
    return not parts.isdisjoint(layers)
