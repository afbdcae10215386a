"""Batch normalisation of maps by one kernel, where Keras computes it part by part."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("aitk.vision")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation (Ioffe and Szegedy 2015), several times as fast in training.

    In TensorFlow, maps (batch, height, width, channels) are normalised in training by its fused
    kernel; everything else (inference, masks, other backends) is Keras' own, as are the weights.
    """

    def call(self, inputs, training=None, mask=None):
        maps = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.scale and self.center
        if not (training and self.trainable and maps and mask is None and _in_tensorflow()):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.convert_to_tensor(inputs),
            scale=tf.convert_to_tensor(self.gamma, tf.float32),
            offset=tf.convert_to_tensor(self.beta, tf.float32),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel hands back the variance of the population, Keras keeps that of the batch.
        count = tf.cast(tf.size(outputs) / tf.shape(outputs)[-1], tf.float32)
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (count - 1) / count)
        return outputs

    def _follow(self, kept, seen):
        kept.assign(kept * self.momentum + seen * (1 - self.momentum))


def _in_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"
