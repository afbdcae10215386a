"""Update rules held against their papers, written in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from aitk.core.contract.options import resolve
from aitk.core.training.optimization.optimizers import make_optimizer
from aitk.stages.options import TrainingOptions

RATE, DECAY, STEPS = 0.05, 0.1, 7


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(6, name="dense")(inputs)
    backbone = keras.Model(inputs, features, name="backbone")
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(backbone(inputs)))


def optimizer_for(model, name):
    given = {"optimizer": name, "learning_rate": RATE, "weight_decay": DECAY, "clip_norm": None}
    options = resolve(TrainingOptions, given)
    optimizer = make_optimizer(options, model.get_layer("backbone"))
    optimizer.build(model.trainable_variables)
    return optimizer


def take_steps(optimizer, gradients, rates=(RATE,) * STEPS):
    for each, rate in zip(gradients, rates, strict=False):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in each])


def drawn(model):
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=each.shape).astype("float32") for each in model.trainable_variables]
        for _ in range(STEPS)
    ]


def test_schedule_free_steps_are_those_of_the_paper():
    model = network()
    start = [np.array(each, np.float64) for each in model.trainable_variables]
    gradients = drawn(model)
    optimizer = optimizer_for(model, "schedule-free")
    rates = [RATE / 4, RATE / 2, *[RATE] * (STEPS - 2)]
    take_steps(optimizer, gradients, rates)
    averages = optimizer.averages(model.trainable_variables)
    for index, variable in enumerate(model.trainable_variables):
        decay = 0.0 if "bias" in variable.path else DECAY
        x = z = start[index]
        v, beta = np.zeros_like(x), 0.9
        for step, rate in enumerate(rates, 1):
            y = (1 - beta) * z + beta * x
            gradient = gradients[step - 1][index]
            v = 0.999 * v + 0.001 * gradient**2
            denominator = np.sqrt(v / (1 - 0.999**step)) + 1e-8
            z = z - rate * gradient / denominator - rate * decay * y
            share = rate**2 / sum(each**2 for each in rates[:step])
            x = (1 - share) * x + share * z
        assert averages[index] == pytest.approx(x, abs=1e-5)
        assert np.array(variable) == pytest.approx((1 - beta) * z + beta * x, abs=1e-5)


def test_muon_turns_hidden_matrices_alone():
    model = network()
    before = {each.path: np.array(each) for each in model.trainable_variables}
    optimizer = optimizer_for(model, "muon")
    take_steps(optimizer, drawn(model)[:1])
    moved = {each.path: np.array(each) - before[each.path] for each in model.trainable_variables}
    (hidden,) = [path for path in moved if path.endswith("dense/kernel")]
    (output,) = [path for path in moved if path.endswith("head/kernel")]
    # Five Newton-Schulz steps bring all singular values near 1, times 0.2 sqrt(6) and the rate.
    step = moved[hidden] + RATE * DECAY * before[hidden]
    singular = np.linalg.svd(step, compute_uv=False) / (RATE * 0.2 * 6**0.5)
    assert singular.min() > 0.6 and singular.max() < 1.3
    # AdamW's first step has the size of the rate everywhere.
    assert np.abs(moved[output] + RATE * DECAY * before[output]) == pytest.approx(RATE, rel=1e-3)
