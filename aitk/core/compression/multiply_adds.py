"""How many multiplications with an addition a Keras model takes, counted in its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.compression.graphs import LOOPS, serving_function


def count_multiply_adds(model: Any, inputs: Mapping[str, np.ndarray]) -> int | None:
    """Those of convolutions and matrix products, for inputs of these shapes.

    Args:
        model: a Keras model.
        inputs: of one row, say, by name.

    Returns:
        None where they cannot be counted: a recurrent loop runs as often as its input is long.
    """
    import tensorflow as tf

    signature = {
        spec.name: tf.TensorSpec(np.shape(inputs[spec.name]), spec.dtype, name=spec.name)
        for spec in model.inputs
    }
    graph = serving_function(model).get_concrete_function(signature).graph
    total = 0
    for operation in graph.get_operations():
        if operation.type.startswith(LOOPS) or operation.type in ("While", "StatelessWhile"):
            return None
        count = _products(operation)
        if count is None:
            return None
        total += count
    return total


def _products(operation: Any) -> int | None:
    """Of one operation; None where its shapes are not known."""
    kind = operation.type
    if kind not in (
        *("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"),
        *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput"),
    ):
        return 0
    shapes: list[Any] = [
        tensor.shape.as_list() if tensor.shape.rank is not None else [None]
        for tensor in (*operation.inputs, *operation.outputs)
    ]
    if kind == "Conv2DBackpropInput":  # sizes, kernel, input
        return _whole([*shapes[2], *shapes[1][:3]])
    if any(None in shape for shape in shapes):
        return None
    first, second, out = shapes[0], shapes[1], shapes[-1]
    if kind == "Einsum":
        left, right = operation.get_attr("equation").decode().partition("->")[0].split(",")
        sizes = dict(zip(left, first, strict=True)) | dict(zip(right, second, strict=True))
        return math.prod(sizes.values())
    if kind.startswith("Conv"):
        return math.prod(out) * math.prod(second[:-1])  # (..., inputs, outputs)
    if kind.startswith("Depthwise"):
        return math.prod(out) * math.prod(second[:2])
    transposed = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
    return math.prod(out) * first[-2 if transposed else -1]


def _whole(sizes: list[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
