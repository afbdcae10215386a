"""Abilities of training: mixing, packing, calibration, updates, distillation, baselines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from aitk.core.contract.capabilities.prediction import Ensemblable
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT, AssetsT_contra, Batch, Example, Note

if TYPE_CHECKING:
    import keras

Rows = Sequence[Mapping[str, Any]]
Measured = Mapping[str, np.ndarray]


@runtime_checkable
class Mixes(Protocol):
    """A task that shows some training rows more often than others."""

    @abstractmethod
    def mix(
        self, rows: Sequence[Mapping[str, Any]], settings: Any, *, note: Note
    ) -> np.ndarray | None:
        """The places of the rows of an epoch, each row at least once; None: each exactly once."""


@runtime_checkable
class Packs(Protocol[AssetsT_contra]):
    """A task that can join the rows of an epoch to training windows of one length."""

    @abstractmethod
    def packs(self, assets: AssetsT_contra) -> bool:
        """Whether it does so with these assets; otherwise a row is an example."""

    @abstractmethod
    def pack(
        self, examples: Sequence[Example], assets: AssetsT_contra, *, rng: np.random.Generator
    ) -> list[Example]:
        """Windows that hold the examples one after the other, each token once."""


@runtime_checkable
class JoinsRows(Protocol[AssetsT_contra]):
    """A task that can make one training example of several rows (mosaic, mixup)."""

    @abstractmethod
    def joins_rows(self, assets: AssetsT_contra) -> str | None:
        """The setting that does so, None where it is off."""


@runtime_checkable
class Calibrates(Protocol[AssetsT]):
    """A task whose assets have decision thresholds, which are tuned after training."""

    @abstractmethod
    def calibrate(self, measured: Mapping[str, np.ndarray], assets: AssetsT) -> AssetsT:
        """The assets with thresholds tuned on the validation rows.

        Args:
            measured: values of ``Task.measure`` for the validation rows at the best epoch.
        """


@runtime_checkable
class Updatable(Protocol[AssetsT]):
    """A task that can be updated with new rows."""

    @abstractmethod
    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: AssetsT,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[AssetsT, Iterator[Row | Refusal]]:
        """Assets extended for the new rows, and these rows; unusable ones become refusals.

        Args:
            items: rows of the new files, from ``read``.
            known: the training rows so far.
            reading: the options that its data was prepared with.
        """


@runtime_checkable
class SourceFree(Ensemblable[AssetsT], Protocol[AssetsT]):
    """A classifier that can be adapted to rows without labels (``update --without-labels``)."""

    @abstractmethod
    def adaptation_assets(self, assets: AssetsT) -> AssetsT:
        """The assets for augmenting unlabelled rows."""


@runtime_checkable
class DistillsRows(Protocol[AssetsT_contra]):
    """A task whose teacher is evaluated once per row (``compress --distill``)."""

    @abstractmethod
    def add_soft_targets(
        self,
        example: Example,
        outputs: np.ndarray,
        assets: AssetsT_contra,
        *,
        teacher: AssetsT_contra,
    ) -> Example:
        """An example whose target includes the teacher's outputs for its row.

        Args:
            assets: assets of the student.
            teacher: assets of the teacher.
        """

    @abstractmethod
    def distillation_loss(self, assets: AssetsT_contra, *, teacher: AssetsT_contra) -> Any:
        """The Keras loss for such examples; its ``facts`` are recorded.

        Raises:
            UsageError: the models are incompatible.
        """


@runtime_checkable
class DistillsBatches(Protocol[AssetsT_contra]):
    """A task whose teacher sees every batch as augmented for the student."""

    @abstractmethod
    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """A model that computes the soft targets from the student's inputs.

        Raises:
            UsageError: the models are incompatible.
        """

    @abstractmethod
    def add_soft_targets_to_batch(
        self, batch: Batch, outputs: Any, assets: AssetsT_contra
    ) -> Batch:
        """A batch whose targets include the teacher's outputs.

        Args:
            assets: assets of the student.
        """

    @abstractmethod
    def distillation_loss(self, assets: AssetsT_contra, *, teacher: AssetsT_contra) -> Any:
        """The Keras loss for such batches; for several outputs a dict of losses."""


@runtime_checkable
class DistillsUnlabelled(Protocol[AssetsT_contra]):
    """A task whose distillation loss can do without labels (``compress --unlabelled``)."""

    @abstractmethod
    def teacher_only(self, example: Example, assets: AssetsT_contra) -> Example:
        """The example of a row without labels, with a target of which the loss counts only the
        teacher's part.

        Args:
            assets: assets of the student.
        """


@runtime_checkable
class DistillsSequences(Protocol):
    """A task whose student can learn the texts that a teacher writes: sequence-level distillation
    (Kim and Rush 2016, section 3.2)."""

    @abstractmethod
    def with_prediction(
        self, fields: Mapping[str, Any], prediction: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A row whose target is a prediction of ``decode``."""


@runtime_checkable
class PrunesVocabulary(Protocol[AssetsT]):
    """A task whose models have a table with a row for each unit of a vocabulary."""

    @abstractmethod
    def prune_vocabulary(
        self, assets: AssetsT, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[AssetsT, int, np.ndarray]:
        """The assets without the units that no row holds.

        Returns:
            They, how many units there were, and the old numbers of those that stay, in order.

        Raises:
            UsageError: this vocabulary cannot be pruned.
        """


@runtime_checkable
class HasBaselines(Protocol[AssetsT_contra]):
    """A task with simple predictors for comparison with its models."""

    @abstractmethod
    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: AssetsT_contra
    ) -> Iterable[Any]:
        """``core.metrics.baselines.Baseline``s fitted to the training rows, simplest first.

        Args:
            assets: assets of the model to compare.
        """
