"""Train a student on what a teacher makes of the rows (Hinton, Vinyals and Dean 2015).

The loss is that of networks that choose one of some classes: one target and one row of logits an
example. A task whose networks put out something else has its own (``Task.taught_objective``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    """Encoded rows that also hold what a teacher made of them.

    Args:
        outputs: of the teacher, in the order of the rows.
        teach: puts an output into the example of its row (``Task.teach``).
    """

    def __init__(
        self,
        examples: Examples,
        outputs: Sequence[np.ndarray],
        teach: Callable[[Example, np.ndarray], Example],
    ):
        self._examples, self._outputs, self._teach = examples, outputs, teach
        self.lengths = examples.lengths

    def __len__(self) -> int:
        return len(self._examples)

    def take(self, indices: Iterable[int]) -> list[Example]:
        """Several examples at once."""
        indices = list(indices)
        return [
            self._teach(example, self._outputs[index])
            for index, example in zip(indices, self._examples.take(indices), strict=True)
        ]


class DistillationLoss(keras.losses.Loss):
    """Cross-entropy with the softened teacher and with the true class, section 2 of the paper."""

    #: What is recorded of it.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, 1 + classes), (batch, classes) -> (batch,)
        y_true = ops.cast(y_true, y_pred.dtype)
        labels, logits = ops.cast(y_true[:, 0], "int32"), y_true[:, 1:]
        hard = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        softened = ops.softmax(logits / TEMPERATURE, axis=-1)
        soft = ops.categorical_crossentropy(softened, y_pred / TEMPERATURE, from_logits=True)
        # Gradients of softened targets shrink with the square of the temperature.
        return TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard
