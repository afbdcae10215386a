"""Writes a model as ONNX, and stores its weights in fewer bits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.compression.calibration import Batches, check_suits
from aitk.core.compression.graphs import float32_layers, is_in, serving_function, signature

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

    Raises:
        Unsuitable: the scheme does not suit the model.
    """
    import onnx

    check_suits(model, scheme, calibration)
    converted = _converted(model)
    _rewrite(converted.graph, "Erfc", _as_erf)
    _lift_scales(converted.graph)
    with tempfile.TemporaryDirectory(prefix="aitk-onnx-") as name:
        folder = Path(name)
        simple = _simplified(converted, folder)
        _rewrite(simple.graph, "Gemm", _gemm_splitter(simple.graph))
        _share_equal_weights(simple.graph)
        if scheme == "float16":
            _store_float16(simple.graph)
        if scheme in ("none", "float16"):
            onnx.save(simple, target)
        elif scheme == "static":
            floats = _float_nodes(simple.graph, apart_from=float32_layers(model))
            _quantize_static(simple, target, folder, calibration, floats=floats)
        else:
            _quantize_dynamic(simple, target, folder)


def _converted(model: Any) -> Any:
    """What tf2onnx makes of a model.

    It copies the whole graph before each of its optimisers, in case one fails, which takes longer
    than they do. So it copies only if one has failed.
    """
    import tf2onnx

    def convert(copies: str) -> Any:
        with _variable("TF2ONNX_CATCH_ERRORS", copies):
            return tf2onnx.convert.from_function(
                serving_function(model), input_signature=[signature(model)], opset=OPSET
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
    _rewrite(quantized.graph, "DequantizeLinear", _as_arithmetic)
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


def _lift_scales(graph: Any) -> None:
    """Fix interpolated maps that are one row short of their size.

    tf2onnx gives the size as a 32-bit factor, and ONNX rounds the product down: 12 rows times 23/12
    became 22.
    """
    from onnx import helper, numpy_helper

    factors = {
        node.input[2]
        for node in graph.node
        if node.op_type == "Resize"
        and any(helper.get_attribute_value(item) == b"linear" for item in node.attribute)
    }
    for item in graph.initializer:
        if item.name in factors:
            value = numpy_helper.to_array(item)
            lifted = np.where(value == 1, value, value * np.float32(1 + 1e-6))
            item.CopyFrom(numpy_helper.from_array(lifted, item.name))


def _rewrite(graph: Any, operation: str, replace: Callable[[Any], list[Any]]) -> None:
    """Replace every node of one type."""
    nodes = []
    for node in graph.node:
        nodes += replace(node) if node.op_type == operation else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def _all_nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of its loops and branches."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


def _as_erf(node: Any) -> list[Any]:
    """Replace tf2onnx's ``Erfc`` (exact GELU), which ONNX lacks, by 1 - Erf(x)."""
    from onnx import helper, numpy_helper

    one, erf = f"{node.name}/one", f"{node.name}/erf"
    return [
        helper.make_node(
            "Constant", [], [one], name=one, value=numpy_helper.from_array(np.array(1, np.float32))
        ),
        helper.make_node("Erf", [node.input[0]], [erf], name=erf),
        helper.make_node("Sub", [one, erf], list(node.output), name=node.name),
    ]


def _gemm_splitter(graph: Any) -> Callable[[Any], list[Any]]:
    """``Gemm`` as ``MatMul`` and ``Add``: the dynamic quantiser supports only the former."""
    from onnx import helper, numpy_helper

    weights = {item.name: item for item in graph.initializer}

    def split(node: Any) -> list[Any]:
        given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        left, right, *bias = node.input
        scaled = given.get("alpha", 1.0) != 1 or (bias and given.get("beta", 1.0) != 1)
        if scaled or given.get("transA") or right not in weights:
            return [node]
        if given.get("transB"):
            turned = f"{right}/transposed"
            if turned not in weights:
                value = np.ascontiguousarray(numpy_helper.to_array(weights[right]).T)
                weights[turned] = graph.initializer.add()
                weights[turned].CopyFrom(numpy_helper.from_array(value, turned))
            right = turned
        if not bias:
            return [helper.make_node("MatMul", [left, right], list(node.output), name=node.name)]
        product = f"{node.name}/product"
        return [
            helper.make_node("MatMul", [left, right], [product], name=product),
            helper.make_node("Add", [product, *bias], list(node.output), name=node.name),
        ]

    return split


def _as_arithmetic(node: Any) -> list[Any]:
    """``DequantizeLinear`` as (x - zero point) * scale, with channels on the last axis.

    ONNX Runtime 1.32 moves the operator itself into loops that use it, and aborts.
    """
    from onnx import TensorProto, helper

    stored, scale, zero_point = node.input
    wide, zero, shifted = (f"{node.name}/{part}" for part in ("wide", "zero", "shifted"))
    return [
        helper.make_node("Cast", [stored], [wide], name=wide, to=TensorProto.FLOAT),
        helper.make_node("Cast", [zero_point], [zero], name=zero, to=TensorProto.FLOAT),
        helper.make_node("Sub", [wide, zero], [shifted], name=shifted),
        helper.make_node("Mul", [shifted, scale], list(node.output), name=node.name),
    ]


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
    for node in _all_nodes(graph):
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
