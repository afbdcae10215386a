"""Number formats of the arithmetic in a model file, counted from the file itself.

Only layers with weights count: convolutions, matrix products, and table lookups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aitk.core.compression.schemes import SCHEMES

CONVOLUTION, PRODUCT, TABLE = "convolutions", "matrix products", "embedding tables"
ON_THE_FLY = "int8 weights with activations quantised on the fly"
#: LiteRT operation -> its kind, and the indices of its input and its weights.
LITERT_LAYERS = {
    "CONV_2D": (CONVOLUTION, 0, 1),
    "DEPTHWISE_CONV_2D": (CONVOLUTION, 0, 1),
    "CONV_3D": (CONVOLUTION, 0, 1),
    "TRANSPOSE_CONV": (CONVOLUTION, 2, 1),
    "FULLY_CONNECTED": (PRODUCT, 0, 1),
    "GATHER": (TABLE, 1, 0),
    "EMBEDDING_LOOKUP": (TABLE, 0, 1),
}
#: ONNX operator -> its kind, and the indices of its input and its weights.
ONNX_LAYERS = {
    "Conv": (CONVOLUTION, 0, 1),
    "ConvTranspose": (CONVOLUTION, 0, 1),
    "ConvInteger": (CONVOLUTION, 0, 1),
    "MatMul": (PRODUCT, 0, 1),
    "Gemm": (PRODUCT, 0, 1),
    "MatMulInteger": (PRODUCT, 0, 1),
    "Gather": (TABLE, 1, 0),
}
#: Kind of layer -> number format -> count.
LayerCounts = Mapping[str, Mapping[str, int]]


def describe_arithmetic(scheme: str, layers: LayerCounts) -> str:
    """The counts in words; for uncountable files, a description of the scheme."""
    parts = [
        f"{kind}: " + ", ".join(f"{count} {how}" for how, count in sorted(counts.items()))
        for kind, counts in layers.items()
    ]
    return "; ".join(parts) or SCHEMES[scheme]


def count_layers(path: Path, *, format: str) -> dict[str, dict[str, int]]:
    """The number of layers of a model file per number format.

    Args:
        format: run format; only ``litert`` and ``onnx`` are counted here.
    """
    counters = {"litert": _litert_layers, "onnx": _onnx_layers}
    if format not in counters:
        return {}
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in (CONVOLUTION, PRODUCT, TABLE)}
    for kind, stored, read in counters[format](path):
        if kind == TABLE and stored.startswith("int") and stored != "int8":
            continue  # not a layer with weights
        arithmetic = _stored(stored) if kind == TABLE else _arithmetic(stored, read)
        counts[kind][arithmetic] += 1
    return {kind: dict(each) for kind, each in counts.items() if each}


def _litert_layers(path: Path) -> Iterator[tuple[str, str, str]]:
    """For each layer its kind, the type of its weights and that of its input."""
    from tensorflow.lite.python import schema_py_generated as schema

    operators, types = _constants(schema.BuiltinOperator), _constants(schema.TensorType)
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        widened: dict[int, int] = {}  # tensor -> its quantised source
        for place in range(graph.OperatorsLength()):
            operator = graph.Operators(place)
            name = operators[model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
            if name == "DEQUANTIZE":
                widened[operator.Outputs(0)] = operator.Inputs(0)
            if name not in LITERT_LAYERS:
                continue
            kind, given, weights = LITERT_LAYERS[name]
            origin = widened.get(operator.Inputs(weights), operator.Inputs(weights))
            if not model.Buffers(graph.Tensors(origin).Buffer()).DataLength():
                continue  # a product of two activations
            stored, read = (
                types[graph.Tensors(each).Type()].lower()
                for each in (origin, operator.Inputs(given))
            )
            on_the_fly = read == "float32" and origin == operator.Inputs(weights)
            yield kind, stored, "dynamic" if on_the_fly else read


def _onnx_layers(path: Path) -> Iterator[tuple[str, str, str]]:
    """The same as ``_litert_layers`` for ONNX."""
    import onnx

    graph = onnx.load(path).graph
    stored = {
        item.name: onnx.TensorProto.DataType.Name(item.data_type) for item in graph.initializer
    }
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type not in ONNX_LAYERS:
            continue
        kind, given, weights = ONNX_LAYERS[node.op_type]
        origin = _origin(node.input[weights], makers)
        if origin not in stored:
            continue  # a product of two activations
        read = "float32"
        if node.op_type.endswith("Integer"):
            read = "dynamic"
        elif (maker := makers.get(node.input[given])) and maker.op_type == "DequantizeLinear":
            read = "int8"
        yield kind, stored[origin].lower(), read


def _origin(name: str, makers: Mapping[str, Any]) -> str:
    """The stored tensor from which weights are dequantised or transposed."""
    while name in makers and makers[name].op_type in (
        "DequantizeLinear", "Cast", "Sub", "Mul", "Transpose", "Reshape",
    ):  # fmt: skip
        name = makers[name].input[0]
    return name


def _stored(type: str) -> str:
    """ONNX calls 32-bit floats just "float"."""
    return {"float": "float32", "uint8": "int8"}.get(type, type)


def _arithmetic(stored: str, read: str) -> str:
    """The arithmetic of a layer, from the types of its weights and of its input."""
    if stored in ("float", "float32", "float16"):
        return "float32" if stored != "float16" else "float32 from float16 weights"
    if read in ("int8", "uint8"):
        return "int8"
    if read == "int16":
        return "int8 weights and int16 activations"
    return ON_THE_FLY if read == "dynamic" else "float32 from int8 weights"


def _constants(names: type) -> dict[int, str]:
    return {value: name for name, value in vars(names).items() if isinstance(value, int)}
