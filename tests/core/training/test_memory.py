"""Estimates of memory on models whose sizes can be counted by hand."""

import numpy as np
import pytest

from aitk.core.contract.options import resolve
from aitk.core.training import memory
from aitk.stages.options import TrainingOptions

GIB = 2**30


def options(**given):
    return resolve(TrainingOptions, {"batch_size": 10, "precision": "float32"} | given)


@pytest.fixture
def model():
    import keras

    steps = keras.Input((None, 4), name="steps")
    x = keras.layers.Dense(8, name="wide")(steps)  # 40 weights, 8 values a step
    x = keras.layers.GlobalAveragePooling1D()(x)  # 8 values
    return keras.Model(steps, keras.layers.Dense(2, name="head")(x))  # 18 weights, 2 values


def test_weights_slots_and_activations_are_counted(model):
    found = memory.estimate_memory(model, options(), length=100)
    # Stored once; trained with a gradient, two moments and the best weights so far.
    assert found.weights == 4 * (58 + 4 * 58)
    assert found.row == memory.KEPT * 4 * (100 * 4 + 100 * 8 + 8 + 2)  # the input too
    less = memory.estimate_memory(model, options(optimizer="sgd"), length=50)
    assert less.weights < found.weights
    assert less.row < found.row
    model.get_layer("wide").trainable = False
    assert memory.estimate_memory(model, options(), length=1).weights == 4 * (58 + 4 * 18)


def test_what_does_not_fit_is_told_with_what_would():
    found = memory.MemoryEstimate(weights=GIB, row=GIB // 10, batch_size=64)
    assert memory.advise(found, 16 * GIB, blocks=[]) is None
    advice = memory.advise(found, 6 * GIB, blocks=["block"])
    rows = int(advice.split("--batch-size ")[1].split()[0])
    steps = int(advice.split("--accumulate ")[1].split()[0])
    assert rows * steps >= 64
    smaller = memory.MemoryEstimate(weights=GIB, row=GIB // 10, batch_size=rows)
    assert memory.advise(smaller, 6 * GIB, blocks=[]) is None
    assert "--rematerialize" in advice
    assert "smaller model" in memory.advise(found, GIB, blocks=[])


def test_blocks_computed_again_give_the_same_gradients():
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    steps = keras.Input((None, 16), name="steps")
    x = keras.layers.Dense(16, name="in")(steps)
    for number in range(4):
        x = keras.layers.MultiHeadAttention(2, 8, name=f"attention_{number}")(x, x)
    model = keras.Model(steps, keras.layers.GlobalAveragePooling1D()(x))
    rows = np.random.default_rng(0).normal(size=(3, 20, 16)).astype("float32")

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(rows, training=True)))
        return tape.gradient(loss, [each.value for each in model.trainable_variables])

    plain = gradients()
    blocks = memory.rematerialize(model)
    assert blocks == [f"attention_{number}" for number in range(4)]
    again = tf.function(gradients.python_function)()
    for first, second in zip(plain, again, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    kept = memory.estimate_memory(model, options(), length=500)
    less = memory.estimate_memory(model, options(), length=500, rematerialized=blocks)
    assert less.row < kept.row / 2
