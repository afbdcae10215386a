"""Weights of a model that grows by classes."""

from __future__ import annotations

import numpy as np
import pytest


def test_classes_repeated_per_anchor_grow_in_their_positions():
    import keras

    from aitk.core.training.growth import copy_grown_weights

    def head(classes: int) -> keras.Model:
        inputs = keras.Input((5,))
        return keras.Model(inputs, keras.layers.Dense(3 * classes, name="anchors")(inputs))

    model, grown = head(2), head(4)
    copy_grown_weights(model, grown, added={"": 2})
    given = np.random.default_rng(0).random((2, 5)).astype(np.float32)
    before = np.asarray(model(given)).reshape(2, 3, 2)
    assert np.asarray(grown(given)).reshape(2, 3, 4)[..., :2] == pytest.approx(before, abs=1e-6)
