"""Graphs for starting and stepping a model's decoding, for converters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aitk.core.decoding.incremental import Decodes, Incremental, Shapes

#: Signatures for cached decoding, and the additional output of a step.
START, STEP, LOGITS = "start", "step", "logits"


def decoding_graphs(model: Any) -> dict[str, Any]:
    """``start`` and ``step`` as concrete functions of named arrays; empty if the model has no
    incremental form. See ``core.decoding.incremental.FunctionDecoder``."""
    incremental = model.incremental() if isinstance(model, Decodes) else None
    if incremental is None:
        return {}
    return {START: _start_graph(incremental), STEP: _step_graph(incremental)}


def specs_of(graph: Any) -> dict[str, Any]:
    """The specs of the named inputs of such a function."""
    import tensorflow as tf

    named = graph.structured_input_signature[1]
    return {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in named.items()}


def _start_graph(incremental: Incremental) -> Any:
    import tensorflow as tf

    @tf.function(autograph=False)
    def start(**inputs: Any) -> dict[str, Any]:
        rows, length = (inputs.pop(name)[0] for name in ("rows", "length"))
        memory, cache = incremental.start(inputs, rows, length)
        return {name: tf.cast(array, tf.float32) for name, array in {**memory, **cache}.items()}

    number = {name: tf.TensorSpec((1,), tf.int32, name=name) for name in ("rows", "length")}
    return start.get_concrete_function(**_specs(incremental.start_shapes, tf.int32), **number)


def _step_graph(incremental: Incremental) -> Any:
    import tensorflow as tf

    compute_dtype = tf.as_dtype(incremental.compute_dtype)

    def chosen(arrays: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
        return {name: tf.cast(arrays[name], compute_dtype) for name in shapes}

    @tf.function(autograph=False)
    def step(**inputs: Any) -> dict[str, Any]:
        logits, cache = incremental.step(
            inputs["step_ids"],
            inputs["place"][0],
            chosen(inputs, incremental.memory_shapes),
            chosen(inputs, incremental.cache_shapes),
        )
        kept = {name: tf.cast(array, tf.float32) for name, array in cache.items()}
        return {LOGITS: tf.cast(logits, tf.float32), **kept}

    return step.get_concrete_function(
        step_ids=tf.TensorSpec((None, 1), tf.int32, name="step_ids"),
        place=tf.TensorSpec((1,), tf.int32, name="place"),
        **_specs(incremental.memory_shapes, tf.float32),
        **_specs(incremental.cache_shapes, tf.float32),
    )


def _specs(shapes: Shapes, dtype: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.TensorSpec(shape, dtype, name=name) for name, shape in shapes.items()}
