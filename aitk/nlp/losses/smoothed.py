"""Cross entropy of tokens with smoothed labels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


@keras.saving.register_keras_serializable("aitk.nlp")
class SmoothedTokenCrossEntropy(keras.losses.Loss):
    """Cross entropy with smoothed labels (Szegedy et al. 2016, section 7), from logits.

    The target has probability 1 - smoothing, and all tokens share the rest equally; no array of the
    size (batch, length, vocabulary) is created for the targets.
    """

    def __init__(
        self, smoothing: float = 0.1, name: str = "smoothed_token_cross_entropy", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, length), (batch, length, vocabulary) -> (batch, length)
        losses = ops.sparse_categorical_crossentropy(
            ops.cast(y_true, "int32"), y_pred, from_logits=True
        )
        if not self.smoothing:
            return losses
        spread = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)
        return (1 - self.smoothing) * losses + self.smoothing * spread

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"smoothing": self.smoothing}
