"""Cross-entropy with smoothed targets (Szegedy et al. 2016, section 7)."""

from __future__ import annotations

import keras
from keras import ops


class SmoothedCrossEntropy(keras.losses.Loss):
    """Of class numbers (batch,) and logits (batch, classes): (batch,).

    Args:
        share: of the target, spread over all classes evenly.
    """

    def __init__(self, share: float):
        super().__init__(name="smoothed_cross_entropy")
        self._share = share

    def call(self, targets, logits):
        hot = ops.one_hot(ops.cast(ops.reshape(targets, [-1]), "int32"), ops.shape(logits)[-1])
        return keras.losses.categorical_crossentropy(
            hot, logits, from_logits=True, label_smoothing=self._share
        )
