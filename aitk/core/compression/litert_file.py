"""Writes a model as LiteRT, with any of the schemes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.compression.calibration import Batches, Unsuitable, check_suits
from aitk.core.compression.decoding_graphs import decoding_graphs
from aitk.core.compression.graphs import (
    LOOPS,
    float32_layers,
    freeze,
    is_in,
    operations_of,
    output_names,
    signature,
    trace,
)
from aitk.core.compression.schemes import CALIBRATED
from aitk.core.contract.errors import ArtifactError

#: Recurrent loops are compiled for a fixed number of rows: one signature for a single row, one for
#: a batch. Both share their weights in the file.
LOOP_BATCHES = (1, 32)
#: Weights of all signatures together: converting 1.1 GB of them took over 17 GB of memory.
LARGEST_BYTES = 1_000_000_000
#: Concatenating operations: in int8 all their inputs share one scale.
JOINING = frozenset({"CONCATENATION", "PACK"})
#: Operations that only rearrange values.
ARRANGING = JOINING | {"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "PAD"}


def write_litert(model: Any, target: Path, *, scheme: str, calibration: Batches) -> None:
    """Write a LiteRT file for any length, and any number of rows where possible.

    Layers with an attribute ``keeps_float32`` stay in float32: with boxes decoded in int8, a good
    detector found nothing.

    Raises:
        Unsuitable: the activations cannot be calibrated, or no kernel supports the result.
    """
    from aitk.core.compression.fake_quantization import has_fake_quantization

    check_suits(model, scheme, calibration)
    trained = scheme == "static" and has_fake_quantization(model)
    traced = trace(model)
    functions: dict[int | None, Any] = {None: traced}
    if _has_loops(traced):
        functions = {batch: trace(model, batch=batch) for batch in LOOP_BATCHES}
    with tempfile.TemporaryDirectory(prefix="aitk-frozen-") as folder:
        # A step of a recurrent decoder is a cell without a loop.
        graphs = {} if scheme in CALIBRATED else decoding_graphs(model)
        if any(map(_has_loops, graphs.values())):
            graphs = {}
        _check_size(model, copies=len(functions) + ("step" in graphs))
        names = _save_frozen(model, folder, functions, graphs)
        if scheme not in CALIBRATED or trained:  # the graph itself holds the ranges
            target.write_bytes(_litert(folder, names, scheme=scheme))
            return
        target.write_bytes(
            _calibrated(folder, names, calibration, scheme=scheme, apart_from=float32_layers(model))
        )
    _check_runs(target, calibration)


def _check_size(model: Any, *, copies: int) -> None:
    """Refuse a model whose weights are too large to be constants of so many signatures."""
    size = copies * sum(4 * math.prod(each.shape) for each in model.weights)
    if size > LARGEST_BYTES:
        raise Unsuitable(
            f"its weights take {size / 1e9:.1f} GB in the converter, which allows"
            f" {LARGEST_BYTES / 1e9:g}: use --format keras with --quantize int4 or weights"
        )


def _has_loops(function: Any) -> bool:
    return any(operation.startswith(LOOPS) for operation in operations_of(function))


def _save_frozen(
    model: Any,
    folder: str,
    functions: Mapping[int | None, Any],
    graphs: Mapping[str, Any],
) -> list[str]:
    """Save one signature per batch size, with constant weights, and the ``graphs`` for
    token-by-token decoding.

    The converter silently drops the weights of variables captured by several signatures.
    """
    import tensorflow as tf

    signatures = {}
    for batch, traced in functions.items():
        frozen = freeze(traced)
        names = [tensor.name.partition(":")[0] for tensor in frozen.inputs]

        def call(frozen: Any = frozen, names: list[str] = names, **inputs: Any) -> Any:
            outputs = tf.nest.flatten(frozen(*[inputs[name] for name in names]))
            return dict(zip(output_names(model), outputs, strict=True))

        function = tf.function(call, autograph=False)
        signatures[f"batch_{batch or 'any'}"] = function.get_concrete_function(
            **signature(model, batch=batch)
        )
    for name, graph in graphs.items():
        signatures[name] = _frozen_signature(graph)
    # The file is not trained, and Swish's gradient cannot be saved from a frozen graph.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), folder, signatures=signatures, options=options)
    return list(signatures)


def _frozen_signature(graph: Any) -> Any:
    """A concrete function with named inputs and outputs, and constant weights."""
    import tensorflow as tf

    frozen = freeze(graph)
    order = [tensor.name.partition(":")[0] for tensor in frozen.inputs]
    outputs = sorted(graph.structured_outputs)
    specs = {
        tensor.name.partition(":")[0]: tf.TensorSpec(
            tensor.shape, tensor.dtype, name=tensor.name.partition(":")[0]
        )
        for tensor in frozen.inputs
    }

    def call(**inputs: Any) -> Any:
        found = tf.nest.flatten(frozen(*[inputs[name] for name in order]))
        return dict(zip(outputs, found, strict=True))

    return tf.function(call, autograph=False).get_concrete_function(**specs)


def _litert(folder: str, names: list[str], *, scheme: str) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    if scheme != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _calibrated(
    folder: str,
    names: list[str],
    calibration: Batches,
    *,
    scheme: str,
    apart_from: Collection[str],
) -> bytes:
    """Integer weights and activations, except in the named layers and in operations that only
    rearrange the outputs of the others."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.tools import flatbuffer_utils

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ((names[0], batch) for batch in calibration)
    converter._experimental_calibrate_only = (
        True  # contains the ranges, but nothing is quantised yet
    )
    calibrated = converter.convert()
    floats = _find_floats(Interpreter(model_content=calibrated), apart_from=apart_from)
    # The lists of nodes and operations are not always obeyed; without a range nothing is quantised.
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(calibrated))
    for index in floats.tensors:
        content.subgraphs[0].tensors[index].quantization = None
    wide = {"inference_type": tf.lite.constants.INT16} if scheme == "int16" else {}
    return mlir_quantize(
        bytes(flatbuffer_utils.convert_object_to_bytearray(content)),
        denylisted_nodes=list(floats.tensors.values()),
        denylisted_ops=sorted(floats.kinds),
        **wide,
    )


@dataclass(frozen=True)
class _Floats:
    """The float32 part of a graph.

    Attributes:
        tensors: number -> name.
        kinds: operation types that produce only such tensors.
    """

    tensors: Mapping[int, str]
    kinds: Collection[str]


def _find_floats(interpreter: Any, *, apart_from: Collection[str]) -> _Floats:
    """The float32 part of a graph, besides the named layers.

    This includes their outputs, operations that only rearrange the inputs of these, and producers
    of concatenated values. The quantiser gives all concatenated values one scale, even in float
    parts: with that of boxes, class scores would be rounded to 0.

    """
    called = {each["index"]: each["name"] for each in interpreter.get_tensor_details()}
    outputs = {each["index"] for each in interpreter.get_output_details()}
    operations = [
        (each["op_name"], set(each["inputs"]), set(each["outputs"]) & set(called))
        for each in interpreter._get_ops_details()
        if each["op_name"] != "SHAPE"
    ]
    floats: set[int] = set()
    for _, inputs, made in operations:
        # The tensor of an output is named after the output, not after its layer.
        if any(is_in(called[index], apart_from) for index in made) or (
            outputs & made and floats & inputs
        ):
            floats |= made
    joined: set[int] = set()
    read_rounded: set[int] = set()
    for kind, inputs, made in reversed(operations):
        if not made & read_rounded and (kind in ARRANGING or made & joined):
            floats |= made
        if not made <= floats:
            read_rounded |= inputs
        elif kind in JOINING or (kind in ARRANGING and made & joined):
            joined |= inputs
    kinds = {kind for kind, _, made in operations if made <= floats}
    kinds -= {kind for kind, _, made in operations if not made <= floats}
    return _Floats({index: called[index] for index in floats}, kinds)


def _check_runs(path: Path, calibration: Batches) -> None:
    """Raise ``Unsuitable`` if a file cannot be run, for instance with ranges of a -1e9 mask."""
    from aitk.core.inference.predictors import LiteRTPredictor

    try:
        LiteRTPredictor(path)(next(iter(calibration)))
    except (ArtifactError, RuntimeError) as error:
        raise Unsuitable("no kernel supports its ranges") from error
