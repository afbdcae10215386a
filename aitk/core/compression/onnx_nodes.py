"""Rewrites of nodes of an ONNX graph, for what converters write and runtimes lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def rewrite(graph: Any, operation: str, replace: Callable[[Any], list[Any]]) -> None:
    """Replace every node of one type."""
    nodes = []
    for node in graph.node:
        nodes += replace(node) if node.op_type == operation else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def all_nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of its loops and branches."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


def lift_scales(graph: Any) -> None:
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


def as_erf(node: Any) -> list[Any]:
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


def as_padded(node: Any) -> list[Any]:
    """Replace TensorFlow's ``XlaDynamicUpdateSlice``, the write to a cache: the update is padded to
    the size of the whole, and chosen where it is."""
    from onnx import TensorProto, helper, numpy_helper

    whole, update, starts = node.input
    part = {
        name: f"{node.name}/{name}"
        for name in (
            *("begins", "size", "part_size", "rest", "ends", "pads", "wide"),
            *("ones", "inside", "is_inside"),
        )
    }

    def make(kind: str, inputs: list[str], output: str, **given: Any) -> Any:
        return helper.make_node(kind, inputs, [output], name=output, **given)

    one = numpy_helper.from_array(np.ones(1, np.float32))
    return [
        make("Cast", [starts], part["begins"], to=TensorProto.INT64),
        make("Shape", [whole], part["size"]),
        make("Shape", [update], part["part_size"]),
        make("Sub", [part["size"], part["part_size"]], part["rest"]),
        make("Sub", [part["rest"], part["begins"]], part["ends"]),
        make("Concat", [part["begins"], part["ends"]], part["pads"], axis=0),
        make("Pad", [update, part["pads"]], part["wide"]),
        make("ConstantOfShape", [part["part_size"]], part["ones"], value=one),
        make("Pad", [part["ones"], part["pads"]], part["inside"]),
        make("Cast", [part["inside"]], part["is_inside"], to=TensorProto.BOOL),
        helper.make_node(
            "Where", [part["is_inside"], part["wide"], whole], list(node.output), name=node.name
        ),
    ]


def gemm_splitter(graph: Any) -> Callable[[Any], list[Any]]:
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


def as_arithmetic(node: Any) -> list[Any]:
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
