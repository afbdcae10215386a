"""A LiteRT model as a function. Part of the scripts of bundles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def open_model(path: Path, threads: int) -> Callable[[Mapping[str, np.ndarray]], Any]:
    """The model: inputs of one row by name to its output, or to several outputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    name = next(
        name for name in ("batch_any", "batch_1") if name in interpreter.get_signature_list()
    )
    runner = interpreter.get_signature_runner(name)
    types = {name: each["dtype"] for name, each in runner.get_input_details().items()}

    def run(inputs: Mapping[str, np.ndarray]) -> Any:
        given = {name: np.ascontiguousarray(inputs[name], kind) for name, kind in types.items()}
        outputs = {name: np.asarray(each, np.float32) for name, each in runner(**given).items()}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    return run
