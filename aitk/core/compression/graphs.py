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

    return _with_expanded_dims(convert_variables_to_constants_v2(function))


def _with_expanded_dims(frozen: Any) -> Any:
    """The same function with ``x[:, None]`` as ``ExpandDims``, which LiteRT has for every shape."""
    import tensorflow as tf
    from tensorflow.python.eager.wrap_function import function_from_graph_def

    graph = frozen.graph.as_graph_def()
    values = {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}
    changed = False
    for node in list(graph.node):
        axis = _new_axis(node, values) if node.op == "StridedSlice" else None
        if axis is None:
            continue
        place = graph.node.add(name=f"{node.name}/new_axis", op="Const")
        place.attr["dtype"].type = tf.int32.as_datatype_enum
        place.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(axis, tf.int32))
        dtype = node.attr["T"].type
        node.op = "ExpandDims"
        del node.input[1:]
        node.input.append(place.name)
        node.attr.clear()
        node.attr["T"].type, node.attr["Tdim"].type = dtype, tf.int32.as_datatype_enum
        changed = True
    if not changed:
        return frozen
    names = ([tensor.name for tensor in each] for each in (frozen.inputs, frozen.outputs))
    return function_from_graph_def(graph, *names)


def _new_axis(node: Any, values: Mapping[str, Any]) -> int | None:
    """The axis that a slice inserts; None if it also selects, or inserts several."""
    import tensorflow as tf

    begin, end, new, shrink, ellipsis = (
        node.attr[f"{name}_mask"].i
        for name in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")
    )
    strides = values.get(node.input[3])
    if not new or new & (new - 1) or shrink or ellipsis or strides is None:
        return None
    steps = tf.make_ndarray(strides)
    whole = all(
        new >> place & 1 or (begin >> place & 1 and end >> place & 1 and step == 1)
        for place, step in enumerate(steps)
    )
    return new.bit_length() - 1 if whole else None


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
