"""The fused step of Adam against Keras' own."""

import keras
import numpy as np
import pytest

from aitk.core.training.optimization.fused_step import with_fused_step


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.AdamW])
def test_it_computes_what_keras_computes(kind):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 4)), rng.normal(size=(6, 5, 4))
    found = []
    for each in (kind, with_fused_step(kind)):
        variable = keras.Variable(start.astype("float32"))
        optimizer = each(learning_rate=0.1, global_clipnorm=1.0)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient.astype("float32"))], [variable])
        found.append(np.array(variable))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)
