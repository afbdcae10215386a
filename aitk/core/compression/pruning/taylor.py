"""How much the loss would change without a part of a network, to first order.

A part is a group of rows of a kernel that reads it: a head of attention, a unit of a feed-forward
layer. The derivative of the loss by a mask over the part is the sum over these rows of weight times
gradient; its absolute value, averaged over examples, is the part's importance (Michel, Levy and
Neubig 2019, "Are Sixteen Heads Really Better than One?", section 4.1; Molchanov et al. 2017,
section 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.task import Batch

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Groups:
    """The parts of one layer.

    Attributes:
        kernels: of the layers that read them, (inputs, outputs) each.
        count: into how many groups of the same size the inputs are divided.
    """

    kernels: Sequence[Any]
    count: int


def importances(
    model: keras.Model, loss: Any, batches: Iterable[Batch], groups: Sequence[Groups]
) -> list[np.ndarray]:
    """The importance of every part, (count,) float64 for each of the groups.

    Args:
        loss: that the model was trained with.
        batches: of one row each, as in the papers, or of few.
    """
    import tensorflow as tf

    judge = _judge(model, loss)
    kernels = [kernel for group in groups for kernel in group.kernels]

    @tf.function(reduce_retracing=True, autograph=False)
    def products(inputs: Any, targets: Any, weights: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=False)
            value = judge.compute_loss(inputs, targets, outputs, weights, training=False)
        gradients = tape.gradient(value, [kernel.value for kernel in kernels])
        # A sum over all outputs: what a mask over each input would do to the loss.
        return [
            tf.reduce_sum(tf.reshape(kernel.value * gradient, (kernel.shape[0], -1)), axis=1)
            for kernel, gradient in zip(kernels, gradients, strict=True)
        ]

    found = [np.zeros(group.count) for group in groups]
    count = 0
    for batch in batches:
        rows = iter(products(batch.inputs, batch.targets, batch.weights))
        for total, group in zip(found, groups, strict=True):
            changes = sum(next(rows).numpy().astype(np.float64) for _ in group.kernels)
            total += np.abs(np.asarray(changes).reshape(group.count, -1).sum(axis=1))
        count += 1
    return [total / max(1, count) for total in found]


def mean_loss(model: keras.Model, loss: Any, batches: Iterable[Batch]) -> float:
    """The mean of the loss over batches, computed eagerly: layers may have been exchanged."""
    judge = _judge(model, loss)
    values = []
    for batch in batches:
        outputs = model(batch.inputs, training=False)
        value = judge.compute_loss(
            batch.inputs, batch.targets, outputs, batch.weights, training=False
        )
        values.append(float(value))
    return float(np.mean(values))


def _judge(model: keras.Model, loss: Any) -> keras.Model:
    """The same layers with a loss: a model that is compiled itself hands its optimizer, as large as
    its weights, on to its copies and their files."""
    import keras

    judge = keras.Model(model.input, model.output)
    judge.compile(loss=loss)
    return judge
