"""Bytes and score of a run with its weights in 8 and 4 bits, without writing further runs.

    python bench/rounded_weights.py RUN --rows 42

The rows are those that the run was not trained on. Each scheme is written to a temporary file for
its bytes, read again, and scored as ``evaluate`` scores a run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.opening import open_assets, open_task
from aitk.core.artifacts.run import load_run
from aitk.core.compression.quantize import BITS, load_quantized, save_quantized
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.training.batches import take_rows
from aitk.registry import load_task
from aitk.stages.training.run_data import data_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=4)
    given = parser.parse_args()
    run = load_run(given.run)
    task = open_task(run, load_task)
    assets = open_assets(task, run)
    data = data_of(task, run)
    held_out = data.rows(data.held_out("test"))
    rows = take_rows(held_out, range(min(given.rows, len(held_out))))
    model = load_keras(run.model_path)

    def show(name: str, size: int) -> None:
        begun = time.process_time()
        measured = measure_rows(
            rows, task, assets, KerasPredictor(model), batch_size=given.batch_size
        )
        value = task.score(measured, assets).metrics[task.metric.name].value
        seconds = time.process_time() - begun
        print(
            f"{name}: {size:,} bytes, {task.metric.name} {value:.4f}, {seconds:.0f} s", flush=True
        )

    show("float32", run.model_path.stat().st_size)
    exact = [np.asarray(each).copy() for each in model.weights]
    for scheme in BITS:
        for variable, values in zip(model.weights, exact, strict=True):
            variable.assign(values)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.weights.h5"
            save_quantized(model, path, scheme=scheme)
            size = path.stat().st_size + path.with_name("model.json").stat().st_size
            for variable, other in zip(model.weights, load_quantized(path).weights, strict=True):
                variable.assign(np.asarray(other))
        show(scheme, size)


if __name__ == "__main__":
    main()
