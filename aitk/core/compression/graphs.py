"""A Keras model as a graph for converters: signature, operations, layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from aitk.core.contract.model_spec import ONLY_OUTPUT

#: Name prefixes of the operations of recurrent loops.
LOOPS = "TensorList"


def serving_function(model: Any) -> Any:
    """The model in inference mode, from a dict of inputs to its outputs in float32."""
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
    """The names of the outputs of ``serving_function``, in the order of a flattened dict."""
    return sorted(model.output) if isinstance(model.output, Mapping) else [ONLY_OUTPUT]


def signature(model: Any, *, batch: int | None = None) -> dict[str, Any]:
    """The specs of the model's inputs for a number of rows."""
    import tensorflow as tf

    return {
        spec.name: tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, name=spec.name)
        for spec in model.inputs
    }


def trace(model: Any, *, batch: int | None = None) -> Any:
    """The concrete function of the model for a number of rows."""
    return serving_function(model).get_concrete_function(signature(model, batch=batch))


def freeze(function: Any) -> Any:
    """A concrete function with constant weights."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function)


def operations_of(function: Any, *, apart_from: Collection[str] = ()) -> set[str]:
    """The operation types of a graph, without those of the named layers."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    return {node.op for node in nodes if not is_in(node.name, apart_from)}


def float32_layers(model: Any) -> list[str]:
    """The names of the layers that stay in float32 when the network is quantised.

    A layer declares it by an attribute ``keeps_float32``, such as layers that decode a network's
    outputs by non-maximum suppression.
    """
    return [layer.name for layer in model.layers if getattr(layer, "keeps_float32", False)]


def is_in(name: str, layers: Collection[str]) -> bool:
    """Whether an operation belongs to one of the layers; copies of a layer are numbered."""
    parts = {re.sub(r"_\d+$", "", part) for part in re.split("[/;]", name)}
    return not parts.isdisjoint(layers)
