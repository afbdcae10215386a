"""The sum of a text's embeddings: the kernel of training against the operations of inference."""

import keras
import numpy as np
import pytest

from aitk.core.layers.kernels import weighted_sums
from aitk.nlp.models.bag import UnitSum


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 12, (4, 7)).astype("int32")  # some come twice in a text
    mask = (np.arange(7) < np.array([[7], [3], [1], [5]])).astype("int32")
    return ids, rng.random((4, 7, 1)).astype("float32"), mask


def test_training_computes_what_inference_does(given):
    layer = UnitSum(12, 3)
    layer.build(*(array.shape for array in given))
    layer.embeddings.assign(np.random.default_rng(1).normal(size=(12, 3)))
    trained, inferred = layer(*given, training=True), layer(*given, training=False)
    np.testing.assert_allclose(trained, inferred, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a kernel of TensorFlow's")
def test_the_gradient_is_that_of_gathered_rows(given):
    import tensorflow as tf

    ids, weights, _ = given
    table = tf.Variable(np.random.default_rng(2).normal(size=(12, 3)).astype("float32"))
    upstream = tf.constant(np.random.default_rng(3).normal(size=(4, 3)).astype("float32"))
    with tf.GradientTape(persistent=True) as tape:
        fast = tf.reduce_sum(weighted_sums(table, ids, weights[..., 0]) * upstream)
        plain = tf.reduce_sum(tf.reduce_sum(tf.gather(table, ids) * weights, 1) * upstream)
    expected = tf.convert_to_tensor(tape.gradient(plain, table))
    np.testing.assert_allclose(tape.gradient(fast, table), expected, atol=1e-6)
