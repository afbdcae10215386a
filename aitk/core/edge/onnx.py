"""An ONNX model as a function. Part of the scripts of bundles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: Input types as named by ONNX Runtime.
TYPES = {
    "tensor(float)": np.float32,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
}


def open_model(path: Path, threads: int) -> Callable[[Mapping[str, np.ndarray]], Any]:
    """The model: inputs of one row by name to its output, or to several outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {each.name: TYPES[each.type] for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> Any:
        given = {name: np.ascontiguousarray(inputs[name], kind) for name, kind in types.items()}
        found = session.run(None, given)
        outputs = {
            name: np.asarray(each, np.float32) for name, each in zip(names, found, strict=True)
        }
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    return run
