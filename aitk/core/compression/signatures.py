"""The inputs and outputs of a LiteRT or ONNX file, as stored in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.runtime.silence import suppress_stderr

#: Signatures of a LiteRT file for token-by-token decoding, not for batches of rows.
DECODING = ("start", "step")


@dataclass(frozen=True)
class Array:
    """One input or output.

    Attributes:
        shape: sizes of its axes; None for a variable size.
        values: meaning of its numbers, if known.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    values: str = ""

    def line(self) -> dict[str, Any]:
        """Its line in a table."""
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        line = {"name": self.name, "shape": f"({sides})", "dtype": self.dtype}
        return line | ({"values": self.values} if self.values else {})


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a file."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            side: [array.line() for array in getattr(self, side)] for side in ("inputs", "outputs")
        }


def read_signature(
    path: Path, *, format: str, values: Mapping[str, str] | None = None
) -> Signature | None:
    """The inputs and outputs of a model file; None for formats with several files.

    Args:
        values: name of an array -> meaning of its numbers.
    """
    readers = {"litert": _litert, "onnx": _onnx}
    if format not in readers:
        return None
    found = readers[format](path)
    given = values or {}
    described = {
        side: tuple(
            Array(each.name, each.shape, each.dtype, given.get(each.name, ""))
            for each in getattr(found, side)
        )
        for side in ("inputs", "outputs")
    }
    return Signature(**described)


def _litert(path: Path) -> Signature:
    from ai_edge_litert.interpreter import Interpreter

    with suppress_stderr():
        interpreter = Interpreter(model_path=str(path))
        names = [name for name in interpreter.get_signature_list() if name not in DECODING]
        runner = interpreter.get_signature_runner(names[-1])
        sides = runner.get_input_details(), runner.get_output_details()
    return Signature(*(tuple(map(_litert_array, side.items())) for side in sides))


def _litert_array(item: tuple[str, Mapping[str, Any]]) -> Array:
    name, details = item
    shape = tuple(None if side < 0 else int(side) for side in details["shape_signature"])
    return Array(name, shape, np.dtype(details["dtype"]).name)


def _onnx(path: Path) -> Signature:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Signature(
        tuple(map(_onnx_array, session.get_inputs())),
        tuple(map(_onnx_array, session.get_outputs())),
    )


def _onnx_array(item: Any) -> Array:
    shape = tuple(side if isinstance(side, int) else None for side in item.shape)
    dtype = item.type.removeprefix("tensor(").removesuffix(")")
    return Array(item.name, shape, {"float": "float32"}.get(dtype, dtype))
