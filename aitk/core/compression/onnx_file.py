"""Writes a model as ONNX, and stores its weights in fewer bits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.run_layout import DECODING_FILES
from aitk.core.compression.calibration import Batches, check_suits
from aitk.core.compression.decoding_graphs import decoding_graphs, specs_of
from aitk.core.compression.graphs import float32_layers, is_in, serving_function, signature
from aitk.core.compression.onnx_nodes import (
    all_nodes,
    as_arithmetic,
    as_erf,
    as_padded,
    gemm_splitter,
    lift_scales,
    rewrite,
)
from aitk.core.compression.schemes import CALIBRATED
from aitk.core.inference.predictors import NEXT

OPSET = 18
#: Operators that ``static`` computes in int8: layers with weights, and those between them.
STATIC_OPERATORS = (
    "Conv", "MatMul", "Add", "Relu", "Clip", "Concat",
    "MaxPool", "AveragePool", "GlobalAveragePool",
)  # fmt: skip
#: Operators that only rearrange values.
ARRANGING = frozenset({"Concat", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Pad", "Identity"})
#: Smaller weights (biases, norms) are not quantised.
SMALLEST_WEIGHT = 1024


def write_onnx(model: Any, target: Path, *, scheme: str, calibration: Batches) -> None:
    """Write an ONNX file for any number of rows of any length.

    A model that decodes token by token has two more next to it, ``DECODING_FILES``. Weights that
    several of them use are stored in each.

    Raises:
        Unsuitable: the scheme does not suit the model.
    """
    check_suits(model, scheme, calibration)
    floats = float32_layers(model)
    whole = _converted(serving_function(model), signature(model))
    _write(whole, target, scheme=scheme, calibration=calibration, apart_from=floats)
    if scheme in CALIBRATED:
        return
    for name, graph in decoding_graphs(model).items():
        part = _converted(_with_distinct_names(graph), specs_of(graph))
        path = target.with_name(DECODING_FILES[name])
        _write(part, path, scheme=scheme, calibration=(), apart_from=())


def _with_distinct_names(graph: Any) -> Any:
    """A graph of named arrays whose outputs have other names than its inputs, as ONNX demands."""
    import tensorflow as tf

    inputs = specs_of(graph)

    @tf.function(autograph=False)
    def call(given: Mapping[str, Any]) -> dict[str, Any]:
        outputs = graph(**given)
        return {(NEXT + name if name in inputs else name): outputs[name] for name in outputs}

    return call


def _write(
    converted: Any,
    target: Path,
    *,
    scheme: str,
    calibration: Batches,
    apart_from: Collection[str],
) -> None:
    """Write what tf2onnx made, with one scheme."""
    import onnx

    rewrite(converted.graph, "Erfc", as_erf)
    rewrite(converted.graph, "XlaDynamicUpdateSlice", as_padded)
    lift_scales(converted.graph)
    with tempfile.TemporaryDirectory(prefix="aitk-onnx-") as name:
        folder = Path(name)
        simple = _simplified(converted, folder)
        rewrite(simple.graph, "Gemm", gemm_splitter(simple.graph))
        _share_equal_weights(simple.graph)
        if scheme == "float16":
            _store_float16(simple.graph)
        if scheme in ("none", "float16"):
            onnx.save(simple, target)
        elif scheme == "static":
            floats = _float_nodes(simple.graph, apart_from=apart_from)
            _quantize_static(simple, target, folder, calibration, floats=floats)
        else:
            _quantize_dynamic(simple, target, folder)


def _converted(function: Any, signature: Mapping[str, Any]) -> Any:
    """What tf2onnx makes of a function of named arrays.

    It copies the whole graph before each of its optimisers, in case one fails, which takes longer
    than they do. So it copies only if one has failed.
    """
    import tf2onnx

    def convert(copies: str) -> Any:
        with _variable("TF2ONNX_CATCH_ERRORS", copies):
            return tf2onnx.convert.from_function(
                function, input_signature=[signature], opset=OPSET
            )[0]

    try:
        return convert("FALSE")
    except Exception:  # noqa: BLE001 - whatever it was, with copies it may matter no more
        return convert("TRUE")


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """An environment variable with a value for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _quantize_static(
    model: Any, target: Path, folder: Path, calibration: Batches, *, floats: list[str]
) -> None:
    """Int8 weights and activations, except in the named nodes.

    Both are unsigned: on processors with AVX2 but without VNNI, sums of two products of unsigned
    and signed numbers overflow, and 7-bit weights, which do not, cost a detector two points.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        """Yields one batch at a time."""

        def __init__(self) -> None:
            self._batches = iter(calibration)

        def get_next(self) -> Any:
            return next(self._batches, None)

    whole = folder / "float.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), whole)
    quantize_static(
        whole,
        target,
        Reader(),
        op_types_to_quantize=list(STATIC_OPERATORS),
        nodes_to_exclude=floats,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
        per_channel=True,
        extra_options={"MatMulConstBOnly": True},
    )


def _quantize_dynamic(model: Any, target: Path, folder: Path) -> None:
    """Matrix products in int8 with activations quantised on the fly; other weights are stored in
    int8 and dequantised when the file is opened.

    Convolutions quantised on the fly are five times slower than in float.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = folder / "float.onnx"
    onnx.save(model, whole)
    quantize_dynamic(
        whole,
        target,
        op_types_to_quantize=["MatMul", "Gather"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )
    quantized = onnx.load(target)
    rewrite(quantized.graph, "DequantizeLinear", as_arithmetic)
    _store_convolutions_int8(quantized.graph)
    onnx.save(quantized, target)


def _float_nodes(graph: Any, *, apart_from: Collection[str]) -> list[str]:
    """The names of the nodes that stay in float: those of the named layers, operations that only
    rearrange the inputs of these and of the outputs, and producers of concatenated values (see
    ``litert_file``)."""
    floats = {node.name for node in graph.node if is_in(node.name, apart_from)}
    joined: set[str] = set()
    read_rounded: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type == "Shape":
            continue
        free = read_rounded.isdisjoint(node.output)
        if free and (node.op_type in ARRANGING or not joined.isdisjoint(node.output)):
            floats.add(node.name)
        if node.name not in floats:
            read_rounded.update(node.input)
        elif node.op_type == "Concat" or (
            node.op_type in ARRANGING and not joined.isdisjoint(node.output)
        ):
            joined.update(node.input)
    return sorted(floats)


def _simplified(model: Any, folder: Path) -> Any:
    """The model with constants folded, in standard operators only.

    tf2onnx keeps two shapes of the weights of an attention layer, one only for its shape.
    """
    import onnx
    import onnxruntime

    onnx.save(model, folder / "converted.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "simple.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        str(folder / "converted.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return onnx.load(folder / "simple.onnx")


def _share_equal_weights(graph: Any) -> None:
    """Remove duplicate and unused weights written by tf2onnx."""
    from onnx import numpy_helper

    first: dict[tuple[bytes, str, tuple[int, ...]], str] = {}
    same: dict[str, str] = {}
    for item in graph.initializer:
        value = numpy_helper.to_array(item)
        content = hashlib.sha256(value.tobytes()).digest()
        same[item.name] = first.setdefault((content, value.dtype.str, value.shape), item.name)
    read = set()
    for node in all_nodes(graph):
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
            read.add(node.input[place])
    kept = [item for item in graph.initializer if item.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _store_float16(graph: Any) -> None:
    """Store the large float weights in 16 bits, converted back when the file is opened.

    The arithmetic stays float32: CPUs have no faster 16-bit arithmetic.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for item in graph.initializer:
        value = numpy_helper.to_array(item)
        if value.dtype != np.float32 or value.size < SMALLEST_WEIGHT:
            continue
        wide, narrow = item.name, f"{item.name}/float16"
        item.CopyFrom(numpy_helper.from_array(value.astype(np.float16), narrow))
        casts.append(helper.make_node("Cast", [narrow], [wide], name=wide, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _store_convolutions_int8(graph: Any) -> None:
    """Store large convolution weights in 8 bits per channel, dequantised on opening.

    With float arithmetic, only the rounding of the weights themselves is lost.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = {
        node.input[1]: int(node.op_type == "ConvTranspose")
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose")
    }
    nodes, scales = [], []
    for item in graph.initializer:
        if item.name not in weights or int(np.prod(item.dims)) < SMALLEST_WEIGHT:
            continue
        value, axis = numpy_helper.to_array(item), weights[item.name]
        others = tuple(place for place in range(value.ndim) if place != axis)
        scale = np.abs(value).max(axis=others, keepdims=True) / np.float32(127)
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        wide, stored = item.name, f"{item.name}/int8"
        item.CopyFrom(numpy_helper.from_array(np.rint(value / scale).astype(np.int8), stored))
        scales.append(numpy_helper.from_array(scale, f"{wide}/scale"))
        nodes += [
            helper.make_node(
                "Cast", [stored], [f"{wide}/cast"], name=f"{wide}/cast", to=TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{wide}/cast", f"{wide}/scale"], [wide], name=wide),
        ]
    graph.initializer.extend(scales)
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)
