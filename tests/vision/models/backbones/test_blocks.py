"""The fused kernel computes what Keras' own batch normalisation does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from aitk.vision.models.backbones.blocks import FusedBatchNormalization

SHAPES = [(2, 4, 6, 3), (5, 7, 3, 16), (3, 1, 1, 8), (1, 9, 5, 33)]


def layers_of(shape, **options):
    """The layer and Keras' own, with the same weights."""
    pair = FusedBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    values = np.random.default_rng(1).uniform(0.5, 2.0, (4, shape[-1]))
    for layer in pair:
        layer.build(shape)
        layer.set_weights(values)
    return pair


def trained(layer, x, weights):
    """Outputs, gradients and state of the layer after one step."""

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
        return y, tape.gradient(loss, [x, *layer.trainable_variables])

    y, gradients = step(x)
    return [np.asarray(each) for each in (y, *gradients, *layer.get_weights())]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_training_is_keras_own(shape):
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(3.0, 2.0, shape), tf.float32)
    weights = tf.constant(random.normal(size=shape), tf.float32)
    fused, plain = layers_of(shape, momentum=0.9, epsilon=1e-5)
    for ours, theirs in zip(trained(fused, x, weights), trained(plain, x, weights), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


def test_half_precision_is_kept():
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 4, 8)), tf.bfloat16)
    fused, plain = layers_of(x.shape, dtype="mixed_bfloat16")
    ours, theirs = fused(x, training=True), plain(x, training=True)
    assert ours.dtype == theirs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(ours, tf.float32), tf.cast(theirs, tf.float32), atol=0.05)


def test_results_holes_and_frozen_layers_match_keras():
    shape = (2, 4, 6, 3)
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    holes = tf.constant(np.random.default_rng(2).random(shape[:3]) < 0.5)
    fused, plain = layers_of(shape)
    np.testing.assert_array_equal(fused(x), plain(x))
    masked = [layer(x, training=True, mask=holes) for layer in (fused, plain)]
    np.testing.assert_array_equal(*masked)
    fused.trainable = plain.trainable = False
    np.testing.assert_array_equal(fused(x, training=True), plain(x, training=True))


def test_it_is_read_again():
    layer = FusedBatchNormalization(momentum=0.8, name="norm")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is FusedBatchNormalization
    assert again.get_config() == layer.get_config()
