"""The loss of each row by itself, as the model was trained with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    import keras


def row_losses(
    model: keras.Model,
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    *,
    loss: Any,
    batch_size: int,
    reporter: Reporter,
) -> np.ndarray:
    """The loss of every row, (rows,) float64, without augmentation or dropout.

    Args:
        model: is compiled with the loss.
        loss: a Keras loss, or a dict of them by output.

    Raises:
        UsageError: rows of this task share a batch, so that one alone has no loss.
    """
    import tensorflow as tf

    model.compile(loss=loss, jit_compile=False)

    @tf.function(reduce_retracing=True)
    def losses_of(inputs: Any, targets: Any, weights: Any) -> Any:
        def one(row: Any) -> Any:
            own = tf.nest.map_structure(lambda array: array[row : row + 1], (inputs, targets))
            outputs = model(own[0], training=False)
            value = model.compute_loss(
                x=own[0], y=own[1], y_pred=outputs, sample_weight=weights[row : row + 1]
            )
            return tf.cast(value, "float32")

        count = tf.shape(weights)[0]
        return tf.map_fn(one, tf.range(count), fn_output_signature=tf.float32)

    examples = Examples(rows, task, assets)
    found = np.zeros(len(rows))
    order = np.argsort(examples.lengths_of(np.arange(len(rows))), kind="stable")
    parts = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    for part in reporter.track(parts, "computing losses", total=len(parts)):
        batch = task.collate(examples.take(part), assets)
        weights = batch.weights
        if weights is None:
            weights = np.ones(len(part), np.float32)
        for array in tf.nest.flatten((batch.inputs, batch.targets)):
            if np.shape(array)[:1] != (len(part),):
                raise UsageError(
                    f"rows of {task.name} share a batch: one alone has no loss", where="--privacy"
                )
        tensors = tf.nest.map_structure(tf.constant, (batch.inputs, batch.targets, weights))
        found[part] = losses_of(*tensors).numpy()
    return found
