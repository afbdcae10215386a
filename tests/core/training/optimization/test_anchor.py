"""Weights that are held near where they were."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from aitk.core.training.optimization.anchor import Anchor, fisher_information


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,), name="x")
    hidden = keras.layers.Dropout(0.5)(inputs)
    return keras.Model({"x": inputs}, keras.layers.Dense(1, use_bias=False, name="head")(hidden))


def test_the_penalty_adds_its_own_gradient(model):
    start = model.get_layer("head").kernel.numpy()
    kernel = model.get_layer("head").kernel
    importance = np.array([[2.0], [0.0]], np.float32)
    anchor = Anchor(model, strength=0.5, importance={id(kernel): importance})
    kernel.assign(start + 1.0)
    optimizer = anchor.applied_to(keras.optimizers.SGD)(learning_rate=1.0)
    optimizer.build([kernel])
    optimizer.apply([keras.ops.zeros((2, 1))], [kernel])
    # strength * importance * (weight - start) = 0.5 * [2, 0] * 1
    np.testing.assert_allclose(kernel.numpy(), start + 1.0 - [[1.0], [0.0]], atol=1e-6)


def test_the_information_is_the_mean_squared_gradient_of_single_rows(model):
    x = np.array([[1.0, 0.0], [3.0, 1.0]], np.float32)
    y = np.array([[0.0], [2.0]], np.float32)
    rows = list(range(len(x)))
    task = SimpleNamespace(
        collate=lambda at, assets: SimpleNamespace(
            inputs={"x": x[at]}, targets=y[at], weights=np.ones(len(at), np.float32)
        )
    )
    kernel = model.get_layer("head").kernel
    before = kernel.numpy()
    loss = keras.losses.MeanSquaredError()
    (found,) = fisher_information(model, task, None, rows=rows, loss=loss).values()
    gradient = 2 * (x @ before - y) * x  # of (w x - y)^2, without dropout: (rows, 2)
    expected = (gradient**2).mean(axis=0)[:, None]
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-4)
    np.testing.assert_array_equal(kernel.numpy(), before)
    assert model.layers[1].rate == 0.5
