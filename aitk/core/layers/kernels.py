"""Backend-specific kernels; networks themselves are backend-neutral."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from aitk.core.layers.sparse_rows import sparse_rows


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


def weighted_sums(table: Any, ids: Any, weights: Any) -> Any | None:
    """Weighted sums of rows of a table, and their gradient, as products with a sparse matrix.

    The rows that are added up are never copied out of the table, as gathering them would: of a
    text of 500 units that is 500 rows. SciPy's product of a compressed sparse matrix takes a fifth
    of the time of TensorFlow's kernels for it (``SparseSegmentSum``, ``SparseTensorDenseMatMul``).

    Args:
        table: (rows, width) float32.
        ids: (batch, length) int32, rows of the table.
        weights: (batch, length) float32, through which no gradient flows.

    Returns:
        (batch, width) float32; None where the backend calls no function of Python in a compiled
        step (others than TensorFlow), or has a GPU to copy from.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return None

    @tf.custom_gradient
    def sums(table: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            found = tf.numpy_function(
                _spread, [ids, weights, upstream, tf.shape(table)[0]], tf.float32
            )
            return tf.ensure_shape(found, table.shape)

        found = tf.numpy_function(_sums, [ids, weights, table], tf.float32)
        return tf.ensure_shape(found, (None, table.shape[1])), gradient

    return sums(tf.convert_to_tensor(table))


def _sums(ids: np.ndarray, weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    return sparse_rows(ids, weights, len(table)) @ table


def _spread(
    ids: np.ndarray, weights: np.ndarray, upstream: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    return sparse_rows(ids, weights, int(rows)).T @ upstream
