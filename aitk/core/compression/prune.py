"""Set the smallest weights of a network to zero while it is trained to do without them.

The share of zeros grows along a cubic curve (Zhu and Gupta 2017, section 3), and one threshold
holds for all matrices together, so that layers with much to spare give up more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

RAISES = 20  # times that the share is raised


class MagnitudePruner:
    """Masks for every weight with two or more axes; biases and norms are left alone.

    After step number ``steps`` the whole share is zero, and stays so.

    Args:
        model: the network, its present weights being the first to choose from.
        share: of the weights to set to zero, from 0 to 1.
        steps: updates over which the share grows.

    Attributes:
        masks: Keras variables, 1 where a weight is kept: part of the state of a training.
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
        """Set weights to zero after this step, the first of a training being number 1."""
        if step <= self.steps and (step % self._every == 0 or step == self.steps):
            self._raise(share_at(step, steps=self.steps, share=self.share))
        for weight, mask in zip(self._weights, self.masks, strict=True):
            weight.assign(weight * mask)

    def _raise(self, share: float) -> None:
        """Mask the smallest weights of all; those already zero are the smallest."""
        import keras

        sizes = [np.abs(keras.ops.convert_to_numpy(weight)) for weight in self._weights]
        every = np.concatenate([size.ravel() for size in sizes])
        zeros = round(share * every.size)
        if not zeros:
            return
        threshold = np.partition(every, zeros - 1)[zeros - 1]
        for mask, size in zip(self.masks, sizes, strict=True):
            mask.assign(size > threshold)


def share_at(step: int, *, steps: int, share: float) -> float:
    """The share of zeros after so many steps: steep at first, when weights to spare are many."""
    left = 1 - min(step, steps) / steps
    return share * (1 - left**3)


def prunable(model: keras.Model) -> list[Any]:
    """The weights that pruning is about."""
    return [weight for weight in model.trainable_weights if len(weight.shape) >= 2]


def share_of_zeros(model: keras.Model) -> float:
    """Which share of the prunable weights is exactly zero."""
    import keras

    weights = [keras.ops.convert_to_numpy(weight) for weight in prunable(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / max(
        1, sum(weight.size for weight in weights)
    )
