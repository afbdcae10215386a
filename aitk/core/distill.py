"""Train a student on what a teacher makes of the rows (Hinton, Vinyals and Dean 2015).

For networks that choose one of some classes: one target and one row of logits an example.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.batches import Examples
from aitk.core.task import Example

#: Softens both distributions. The paper finds 2.5 to 4 best for small students and higher ones for
#: large students (section 3); DistilBERT (Sanh et al. 2019) uses 2.
TEMPERATURE = 2.0
#: Share of the teacher in the loss; the paper gives the true labels a considerably lower weight.
TEACHER_SHARE = 0.9


class TaughtExamples(Examples):
    """Encoded rows whose targets are the true class followed by the teacher's logits."""

    def __init__(self, examples: Examples, logits: np.ndarray):
        # (rows, classes) logits of the teacher, in the order of the rows
        self._examples, self._logits = examples, logits
        self.lengths = examples.lengths

    def __len__(self) -> int:
        return len(self._examples)

    def take(self, indices: Iterable[int]) -> list[Example]:
        """Several examples at once."""
        indices = list(indices)
        return [
            dataclasses.replace(example, target=np.append(example.target, self._logits[index]))
            for index, example in zip(indices, self._examples.take(indices), strict=True)
        ]


class DistillationLoss(keras.losses.Loss):
    """Cross-entropy with the softened teacher and with the true class, section 2 of the paper."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, 1 + classes), (batch, classes) -> (batch,)
        y_true = ops.cast(y_true, y_pred.dtype)
        labels, logits = ops.cast(y_true[:, 0], "int32"), y_true[:, 1:]
        hard = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        softened = ops.softmax(logits / TEMPERATURE, axis=-1)
        soft = ops.categorical_crossentropy(softened, y_pred / TEMPERATURE, from_logits=True)
        # Gradients of softened targets shrink with the square of the temperature.
        return TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard
