"""Cross-entropy with label smoothing, and over several codebooks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


class SmoothedCrossEntropy(keras.losses.Loss):
    """From class numbers (batch,) and logits (batch, classes) to (batch,) (Szegedy et al. 2016,
    section 7).

    Args:
        share: share of the target spread evenly over all classes.
    """

    def __init__(self, share: float):
        super().__init__(name="smoothed_cross_entropy")
        self._share = share

    def call(self, targets: Tensor, logits: Tensor) -> Tensor:
        hot = ops.one_hot(ops.cast(ops.reshape(targets, [-1]), "int32"), ops.shape(logits)[-1])
        return keras.losses.categorical_crossentropy(
            hot, logits, from_logits=True, label_smoothing=self._share
        )


@keras.saving.register_keras_serializable("aitk.speech")
class CodebookLoss(keras.losses.Loss):
    """Mean cross-entropy over the codebooks, at every step.

    Args:
        codes: entries per codebook.
    """

    def __init__(self, codes: int, name: str = "codebooks", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.codes = codes

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, steps, codebooks), (batch, steps, codebooks * codes) -> (batch, steps)
        batch, steps = ops.shape(y_pred)[0], ops.shape(y_pred)[1]
        logits = ops.reshape(
            ops.cast(y_pred, "float32"),
            (batch, steps, y_pred.shape[-1] // self.codes, self.codes),
        )
        losses = ops.sparse_categorical_crossentropy(
            ops.cast(y_true, "int32"), logits, from_logits=True
        )
        return ops.mean(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"codes": self.codes}
