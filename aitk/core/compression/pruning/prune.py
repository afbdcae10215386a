"""Magnitude pruning: set the smallest weights of a network to zero during training.

The share of zeros grows along a cubic curve (Zhu and Gupta 2017, section 3), and one threshold
applies to all matrices, so that redundant layers lose more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

RAISES = 20  # number of increases of the share


class MagnitudePruner:
    """Masks for every weight with two or more axes; biases and norms are unaffected.

    From step ``steps`` on, the whole share is zero.

    Args:
        model: the network; its current weights determine the first mask.
        share: share of weights to set to zero, from 0 to 1.
        steps: updates over which the share grows.

    Attributes:
        masks: Keras variables, 1 for kept weights: part of the training state.
    """

    def __init__(self, model: keras.Model, *, share: float, steps: int):
        import keras

        self.share, self.steps = share, max(1, steps)
        self._weights = prunable(model)
        self.masks = [
            keras.Variable(np.ones(weight.shape), dtype=weight.dtype, trainable=False)
            for weight in self._weights
        ]
        self._every = max(1, self.steps // RAISES)

    def after_step(self, step: int) -> None:
        """Apply the masks after this step; the first step of a training is number 1."""
        if step <= self.steps and (step % self._every == 0 or step == self.steps):
            self._raise(share_at(step, steps=self.steps, share=self.share))
        for weight, mask in zip(self._weights, self.masks, strict=True):
            weight.assign(weight * mask)

    def _raise(self, share: float) -> None:
        """Mask the smallest weights overall; zeros are the smallest."""
        import keras

        sizes = [np.abs(keras.ops.convert_to_numpy(weight)) for weight in self._weights]
        every = np.concatenate([size.ravel() for size in sizes])
        zeros = round(share * every.size)
        if not zeros:
            return
        threshold = np.partition(every, zeros - 1)[zeros - 1]
        for mask, size in zip(self.masks, sizes, strict=True):
            mask.assign(size > threshold)


class PatternPruner:
    """Masks that leave N of every M weights that follow each other along a kernel's inputs.

    Processors with sparse matrix units compute 2 of 4 at twice the speed (Mishra et al. 2021,
    "Accelerating Sparse Deep Neural Networks", section 3). The largest stay; which they are is
    chosen anew ``RAISES`` times up to step ``steps``, so that weights can come back.

    Args:
        model: the network.
        pattern: ``N:M``, for instance ``2:4``; kernels whose inputs M does not divide stay whole.
        steps: updates after which the masks are final.

    Attributes:
        masks: Keras variables, 1 where a weight is kept: part of the state of a training.
    """

    def __init__(self, model: keras.Model, *, pattern: str, steps: int):
        import keras

        kept, group = (int(part) for part in pattern.split(":"))
        self.steps = max(1, steps)
        self._kept, self._group = kept, group
        self._weights = [
            weight for weight in prunable(model) if int(np.prod(weight.shape[:-1])) % group == 0
        ]
        self.masks = [
            keras.Variable(np.ones(weight.shape), dtype=weight.dtype, trainable=False)
            for weight in self._weights
        ]
        self._every = max(1, self.steps // RAISES)

    def after_step(self, step: int) -> None:
        """Set weights to zero after this step, the first of a training being number 1."""
        import keras

        if step <= self.steps and (step % self._every == 0 or step == self.steps):
            for mask, weight in zip(self.masks, self._weights, strict=True):
                value = keras.ops.convert_to_numpy(weight)
                mask.assign(pattern_mask(value, kept=self._kept, group=self._group))
            for weight, mask in zip(self._weights, self.masks, strict=True):
                # Until the masks are final a weight that was left out may grow back.
                weight.assign(weight * mask)
        elif step > self.steps:
            for weight, mask in zip(self._weights, self.masks, strict=True):
                weight.assign(weight * mask)


def pattern_mask(values: np.ndarray, *, kept: int, group: int) -> np.ndarray:
    """1 for the ``kept`` largest of every ``group`` weights along the inputs, (..., outputs)."""
    flat = np.abs(values).reshape(-1, values.shape[-1])  # (inputs, outputs)
    groups = flat.reshape(-1, group, flat.shape[1])
    order = np.argsort(np.argsort(-groups, axis=1, kind="stable"), axis=1, kind="stable")
    return (order < kept).astype(values.dtype).reshape(values.shape)


def share_at(step: int, *, steps: int, share: float) -> float:
    """The share of zeros after a number of steps: increasing fastest at first."""
    left = 1 - min(step, steps) / steps
    return share * (1 - left**3)


def prunable(model: keras.Model) -> list[Any]:
    """The weights that can be pruned."""
    return [weight for weight in model.trainable_weights if len(weight.shape) >= 2]


def share_of_zeros(model: keras.Model) -> float:
    """The share of prunable weights that are exactly zero."""
    import keras

    weights = [keras.ops.convert_to_numpy(weight) for weight in prunable(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / max(
        1, sum(weight.size for weight in weights)
    )
