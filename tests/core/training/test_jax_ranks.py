"""Ranks on JAX take the steps of one process; skipped where JAX is not installed."""

import importlib.util
import json
import os
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from aitk.core.runtime.child import python_command, python_environment

TESTS = Path(__file__).parents[1]

#: Trains the toy in this process, one of the ranks if TF_CONFIG names some; prints its weights.
TRAINS = """
import json, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.runtime.devices import set_up_training
from aitk.core.training.batches import Examples
from aitk.core.training.loop import train
from aitk.stages.options import TrainingOptions
from toy_task import ToySettings, ToyTask, toy_rows

task, rows = ToyTask(), toy_rows(53)
options = resolve(TrainingOptions, dict(
    epochs=3, learning_rate=0.05, batch_size=8, patience=9, clip_norm=0.1, optimizer="sgd"))
with set_up_training(seed=0, precision="float32", devices=None):
    spec = task.models["dense"]
    model = spec.build(resolve(ToySettings, {"dropout": 0}), None)
    encoded = Examples(rows, task, None)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(model, task, None, train=encoded, validation=encoded, options=options,
                        state=Path(folder), identity="", reporter=Silent(), loss=spec.loss(None))
weights = [array.ravel().tolist() for array in trained.model.get_weights()]
losses = [row["loss"] for row in trained.history]
print(json.dumps({"weights": weights, "loss": losses}), flush=True)
"""


def start(place: dict | None) -> subprocess.Popen:
    environment = python_environment() | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment |= {"TF_CONFIG": json.dumps(place)} if place else {}
    return subprocess.Popen(
        python_command("-c", TRAINS, os.fspath(TESTS)),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen) -> dict:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_two_ranks_take_the_steps_of_one_process():
    """With batches that do not divide by two, and gradients that are clipped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    one = result(start(None))
    cluster = {"worker": [address, "127.0.0.1:1"]}
    ranks = [
        start({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in (0, 1)
    ]
    first, second = map(result, ranks)
    assert first["weights"] == second["weights"]
    np.testing.assert_allclose(first["loss"], one["loss"], atol=1e-6)
    for ours, theirs in zip(first["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
