"""Several devices take the steps of one: logical processors, and ranks of which one dies."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from aitk.core.runtime.child import python_command, python_environment

TESTS = Path(__file__).parents[1]

#: Trains the toy on one device and on two, and prints the largest difference of their weights.
MIRRORED = """
import contextlib, json, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, tensorflow as tf
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.training.batches import Examples
from aitk.core.training.loop import train
from aitk.stages.options import TrainingOptions
from toy_task import ToySettings, ToyTask, toy_rows

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
task, rows = ToyTask(), toy_rows(53)
given = dict(epochs=3, learning_rate=0.05, batch_size=8, patience=9, clip_norm=0.1,
             optimizer="sgd")
trained = []
for devices in (1, 2):
    keras.utils.set_random_seed(0)
    scope = contextlib.nullcontext()
    if devices == 2:
        scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
    with scope:
        spec = task.models["dense"]
        model = spec.build(resolve(ToySettings, {"dropout": 0}), None)
    encoded = Examples(rows, task, None)
    options = resolve(TrainingOptions, given)
    with tempfile.TemporaryDirectory() as folder:
        trained.append(
            train(model, task, None, train=encoded, validation=encoded, options=options,
                  state=Path(folder), identity="", reporter=Silent(), loss=spec.loss(None))
        )
one, two = (each.model.get_weights() for each in trained)
print(json.dumps({
    "weights": max(float(abs(a - b).max()) for a, b in zip(one, two)),
    "loss": [[row["loss"] for row in each.history] for each in trained],
}))
"""


@pytest.mark.slow
def test_two_devices_take_the_steps_of_one():
    """With batches that do not divide by two, and gradients that are clipped.

    By SGD: Adam divides by the size of the gradients, which enlarges the rounding of small ones.
    """
    command = python_command("-c", MIRRORED, str(TESTS))
    done = subprocess.run(
        command, env=python_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["weights"] < 1e-6
    np.testing.assert_allclose(*found["loss"], atol=1e-6)


@pytest.mark.slow
def test_ranks_end_with_the_weights_of_one_process_though_one_is_killed(tmp_path):
    import aitk

    rows = ["text,label"]
    rows += [f"{'good' if number % 2 else 'bad'} thing {number % 11},{number % 2}"
             for number in range(120)]  # fmt: skip
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    data = aitk.prepare(tmp_path / "rows.csv", task="nlp.classify", out=tmp_path / "data")
    killed = []

    def kill_rank_1(progress):
        if progress.kind == "step" and progress.text.startswith("epoch 1") and not killed:
            killed.append(rank_1())
            os.kill(killed[0], signal.SIGKILL)

    settings = {"vocabulary_size": 300, "dropout": 0}
    given = {"model": "bag", "epochs": 2, "batch_size": 25, "settings": settings}
    one = aitk.finetune(data, out=tmp_path / "one", **given)
    two = aitk.finetune(
        data, out=tmp_path / "two", ranks=2, save_minutes=0.0, progress=kill_rank_1, **given
    )
    assert killed
    for first, second in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def rank_1() -> int:
    """The process that was told to be rank 1 by this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b'"index": 1}' in environment and int(parent) == os.getpid():
            return int(folder.name)
    pytest.fail("there is no rank 1")
