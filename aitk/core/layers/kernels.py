"""Backend-specific kernels; networks themselves are backend-neutral."""

from __future__ import annotations

from typing import Any

import keras


def normalised_batch(maps: Any, gamma: Any, beta: Any, *, epsilon: float) -> tuple | None:
    """Training-time batch normalisation with a fused kernel, if the backend has one (TensorFlow).

    Args:
        maps: (batch, height, width, channels), in any precision.
        gamma: (channels,) scale.
        beta: (channels,) offset.

    Returns:
        The normalised maps, and mean and variance of the batch (channels,) float32; None without
        such a kernel.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.convert_to_tensor(maps),
        scale=tf.convert_to_tensor(gamma, tf.float32),
        offset=tf.convert_to_tensor(beta, tf.float32),
        mean=[],
        variance=[],
        epsilon=epsilon,
        is_training=True,
    )
    # The kernel returns the unbiased variance.
    count = tf.cast(tf.size(maps) / tf.shape(maps)[-1], tf.float32)
    return maps, mean, variance * (count - 1) / count
