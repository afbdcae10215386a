"""Magnitude pruning: the share of zeros, and which weights they are."""

import numpy as np
import pytest

from aitk.core.compression.pruning.prune import MagnitudePruner, share_at, share_of_zeros


def test_the_share_grows_along_the_cubic_curve():
    # Zhu and Gupta 2017, equation 1, from 0 to 0.8 over 4 steps: 0.8 * (1 - (1 - t/4)^3).
    shares = [share_at(step, steps=4, share=0.8) for step in range(6)]
    assert shares == pytest.approx([0, 0.4625, 0.7, 0.7875, 0.8, 0.8])


@pytest.fixture
def model():
    import keras

    inputs = keras.Input((2,), name="x")
    x = keras.layers.Dense(2, name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="second")(x))
    model.get_layer("first").set_weights([np.array([[1.0, -2], [3, -4]]), np.array([0.1, 0.1])])
    model.get_layer("second").set_weights([np.array([[0.5, 6], [7, 8]]), np.array([0.1, 0.1])])
    return model


def test_the_smallest_of_all_matrices_go_and_biases_stay(model):
    MagnitudePruner(model, share=0.5, steps=1).after_step(1)
    kernel, bias = model.get_layer("first").get_weights()
    assert kernel.tolist() == [[0, 0], [0, -4]] and (bias != 0).all()
    assert model.get_layer("second").get_weights()[0].tolist() == [[0, 6], [7, 8]]
    assert share_of_zeros(model) == 0.5


def test_what_was_pruned_stays_zero_when_training_moves_it(model):
    pruner = MagnitudePruner(model, share=0.5, steps=2)
    for step in range(1, 5):
        pruner.after_step(step)
        for weight in model.trainable_weights:
            weight.assign(weight + 0.01)
    pruner.after_step(5)
    assert share_of_zeros(model) == 0.5
