"""Knowledge distillation from a teacher to a student (Hinton, Vinyals and Dean 2015).

A teacher computes its outputs once per row, or for every batch as the student sees it: otherwise
the teacher would see another image than the student after augmentation (Beyer et al. 2022,
"Knowledge distillation: a good teacher is patient and consistent", section 3.1).

The loss here is for single-label classifiers: one target and one row of logits per example. Tasks
with other outputs define their own loss (``DistillsRows.distillation_loss``,
``DistillsBatches.distillation_loss``).
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from aitk.core.compression.hidden import FEATURES
from aitk.core.contract.model_spec import ONLY_OUTPUT
from aitk.core.contract.task import Assets, Batch, Example
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    from aitk.core.contract.capabilities import DistillsBatches

#: Temperature of both distributions. The paper finds 2.5 to 4 best for small students and higher
#: values for large students (section 3); DistilBERT (Sanh et al. 2019) uses 2.
TEMPERATURE = 2.0
#: Weight of the teacher in the loss; the paper gives the true labels a considerably lower weight.
TEACHER_SHARE = 0.9


class TaughtExamples(Examples):
    """Encoded rows whose targets are changed when they are read."""

    def __init__(self, examples: Examples):
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def lengths_of(self, indices: np.ndarray) -> np.ndarray:
        """Of the rows themselves."""
        return self._examples.lengths_of(indices)

    def take(self, indices: Iterable[int]) -> list[Example]:
        """Several examples at once."""
        indices = list(indices)
        examples = self._examples.take(indices)
        return [self.change(*pair) for pair in zip(indices, examples, strict=True)]

    @abstractmethod
    def change(self, index: int, example: Example) -> Example:
        """The example of a row with the target to learn from."""


class SoftTargetExamples(TaughtExamples):
    """Encoded rows whose targets include the outputs of a teacher.

    Args:
        outputs: teacher outputs, in row order.
        add_soft_targets: adds an output to the example of its row
            (``DistillsRows.add_soft_targets``, with the assets bound).
    """

    def __init__(
        self,
        examples: Examples,
        outputs: Sequence[Any],
        add_soft_targets: Callable[[Example, Any], Example],
    ):
        super().__init__(examples)
        self._outputs, self._add_soft_targets = outputs, add_soft_targets

    def change(self, index: int, example: Example) -> Example:
        return self._add_soft_targets(example, self._outputs[index])


class UnlabelledExamples(TaughtExamples):
    """Encoded rows, of which those from number ``first`` on have no labels.

    Args:
        teacher_only: gives them a target (``DistillsUnlabelled.teacher_only``, assets bound).
    """

    def __init__(self, examples: Examples, first: int, teacher_only: Callable[[Example], Example]):
        super().__init__(examples)
        self._first, self._teacher_only = first, teacher_only

    def change(self, index: int, example: Example) -> Example:
        return example if index < self._first else self._teacher_only(example)


class BatchTeacher:
    """Adds the outputs of a teacher to the targets of a batch, as seen by the student.

    Args:
        teacher: the larger model, not being trained.
        student: the model being trained.
        assets: assets of the student.
    """

    def __init__(
        self, teacher: keras.Model, student: keras.Model, task: DistillsBatches[Any], assets: Assets
    ):
        self._task, self._assets = task, assets
        self.model = task.teacher_outputs(teacher, student)
        self._predict = KerasPredictor(self.model)

    def __call__(self, batch: Batch) -> Batch:
        return self.added(batch, self._predict(batch.inputs))

    def with_features(self, batch: Batch) -> Batch:
        """Also add the teacher's features, which are one of its outputs (``hidden``)."""
        outputs = dict(self._predict(batch.inputs))
        features = outputs.pop(FEATURES)
        rest = outputs[ONLY_OUTPUT] if set(outputs) == {ONLY_OUTPUT} else outputs
        return _with_targets(self.added(batch, rest), features)

    def added(self, batch: Batch, outputs: Any) -> Batch:
        """The batch with the outputs of a teacher among its targets."""
        return self._task.add_soft_targets_to_batch(batch, outputs, self._assets)


class RowFeatures:
    """Moves the features that follow the targets of each row into targets of their own.

    Args:
        size: of the teacher's features.
    """

    def __init__(self, size: int):
        self._size = size

    def __call__(self, batch: Batch) -> Batch:
        targets = np.asarray(batch.targets)
        own = dataclasses.replace(batch, targets=targets[..., : -self._size])
        return _with_targets(own, targets[..., -self._size :])


def _with_targets(batch: Batch, features: np.ndarray) -> Batch:
    targets = batch.targets
    named = targets if isinstance(targets, Mapping) else {ONLY_OUTPUT: targets}
    return dataclasses.replace(batch, targets={**named, FEATURES: features})


def softened_divergence(teacher: Any, logits: Any, *, temperature: float = TEMPERATURE) -> Any:
    """Divergence of a student's classes from a teacher's, both softened: (..., classes) -> (...).

    The Kullback-Leibler divergence, 0 for equal distributions, times the squared temperature, which
    compensates for the smaller gradients of softened targets.
    """
    wanted = ops.log_softmax(teacher / temperature, axis=-1)
    found = ops.log_softmax(logits / temperature, axis=-1)
    return temperature**2 * ops.sum(ops.exp(wanted) * (wanted - found), axis=-1)


def facts_of(loss: Any) -> dict[str, Any]:
    """The configuration recorded for a loss, or for several by name."""
    if not isinstance(loss, Mapping):
        return dict(loss.facts)
    return {f"{name}_{key}": fact for name, own in loss.items() for key, fact in own.facts.items()}


class DistillationLoss(keras.losses.Loss):
    """Cross-entropy with the softened teacher and with the true class, section 2 of the paper.

    ``y_true`` (..., 1 + classes): the class, negative where it is not known, then the teacher's
    logits.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, ..., 1 + classes), (batch, ..., classes) -> (batch, ...)
        y_true = ops.cast(y_true, y_pred.dtype)
        labels, logits = ops.cast(y_true[..., 0], "int32"), y_true[..., 1:]
        known = ops.cast(labels >= 0, y_pred.dtype)
        labels = ops.maximum(labels, 0)
        hard = known * ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        softened = ops.softmax(logits / TEMPERATURE, axis=-1)
        soft = ops.categorical_crossentropy(softened, y_pred / TEMPERATURE, from_logits=True)
        # Gradients of softened targets shrink with the square of the temperature.
        return TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard
