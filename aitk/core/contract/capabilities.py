"""Capability protocols: optional abilities of tasks.

A stage checks ``isinstance(task, Explainable)``; there are no capability flags.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Finding, Inspector, Note, Task

if TYPE_CHECKING:
    import keras

    from aitk.core.contract.progress import Reporter
    from aitk.core.edge.parts import BundleParts
    from aitk.core.inference.text_scores import OpenScorer
    from aitk.core.io.prediction_files import PredictionLines


class Embed(Protocol):
    """Embeds values with an encoder, which may belong to another domain."""

    def __call__(self, source: str, values: Sequence[Any], *, kind: str) -> np.ndarray:
        """(values, d) float32, zero rows for None; see ``core.inference.embedding.embed``."""


class GroupedRows(Protocol):
    """The rows derived from a whole log, and the findings about it (an ``Inspector``).

    The findings are complete when the first row comes. Fields may be arrays.
    """

    def __iter__(self) -> Iterator[Row | Refusal]: ...

    def add(self, row: Row, split: str) -> None: ...

    def findings(self) -> list[Finding]: ...

    def summary(self) -> dict[str, Any]: ...


@runtime_checkable
class Inspects(Protocol):
    """A task whose rows are independent, and checked one by one. Every other one is ``Grouped``."""

    @abstractmethod
    def inspector(self, reading: Any) -> Inspector:
        """A new inspector of data quality."""


@runtime_checkable
class Grouped(Protocol):
    """A task whose rows depend on each other (events of one log), so it groups and splits them."""

    @abstractmethod
    def group(
        self,
        sources: Sequence[str],
        reading: Any,
        *,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        embed: Embed,
        note: Note,
        reporter: Reporter,
    ) -> GroupedRows:
        """Read the user's files and derive the stored rows; refusals are passed through.

        Args:
            shares: share of each split.
            tables: folder for Parquet tables stored with the rows.
            embed: embeds texts, images or audio with any encoder.
        """

    @abstractmethod
    def check_tables(self, tables: Path, assets: Any) -> None:
        """Raise ``ArtifactError`` if rows of other data are incompatible with the assets.

        Args:
            tables: tables that ``group`` wrote for these rows.
        """


@runtime_checkable
class DependsOnReading(Protocol):
    """A task whose targets and metric depend on its reading options: one label, or several."""

    @abstractmethod
    def for_reading(self, reading: Any) -> Task[Any]:
        """The task variant for rows read with these options."""


@runtime_checkable
class CountsReading(Protocol):
    """A task that counts during reading what its inspector reports."""

    @abstractmethod
    def reading_counts(self) -> dict[str, Any]:
        """The counts as JSON, once every row has been read."""

    @abstractmethod
    def set_reading_counts(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Go on as if this process had read the rows itself.

        Args:
            parts: what ``reading_counts`` gave in each of the processes that read them.

        Returns:
            Notes that can only be made of all of it.
        """


@runtime_checkable
class ReadsRecords(Protocol):
    """A task that can pass over records without opening the files that they name."""

    @abstractmethod
    def read_records(
        self, sources: Sequence[str], reading: Any, *, note: Note, wanted: Callable[[int], bool]
    ) -> Iterator[tuple[int, Row | Refusal]]:
        """Labelled rows, as ``read`` gives them, each with the number of its record from 0.

        Args:
            wanted: is asked once for each record, in order.
        """


@runtime_checkable
class Mixes(Protocol):
    """A task that shows some training rows more often than others."""

    @abstractmethod
    def mix(
        self, rows: Sequence[Mapping[str, Any]], settings: Any, *, note: Note
    ) -> np.ndarray | None:
        """The places of the rows of an epoch, each row at least once; None: each exactly once."""


@runtime_checkable
class Packs(Protocol):
    """A task that can join the rows of an epoch to training windows of one length."""

    @abstractmethod
    def packs(self, assets: Any) -> bool:
        """Whether it does so with these assets; otherwise a row is an example."""

    @abstractmethod
    def pack(
        self, examples: Sequence[Example], assets: Any, *, rng: np.random.Generator
    ) -> list[Example]:
        """Windows that hold the examples one after the other, each token once."""


@runtime_checkable
class HasLanguages(Protocol):
    """A task whose scores are also reported per language."""

    @abstractmethod
    def language(self, fields: Mapping[str, Any]) -> str:
        """The code of a row's language; ``und`` where it is not clear."""


@runtime_checkable
class JoinsRows(Protocol):
    """A task that can make one training example of several rows (mosaic, mixup)."""

    @abstractmethod
    def joins_rows(self, assets: Any) -> str | None:
        """The setting that does so, None where it is off."""


@runtime_checkable
class Calibrates(Protocol):
    """A task whose assets have decision thresholds, which are tuned after training."""

    @abstractmethod
    def calibrate(self, measured: Mapping[str, np.ndarray], assets: Any) -> Any:
        """The assets with thresholds tuned on the validation rows.

        Args:
            measured: values of ``Task.measure`` for the validation rows at the best epoch.
        """


@runtime_checkable
class Updatable(Protocol):
    """A task that can be updated with new rows."""

    @abstractmethod
    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: Any,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[Any, Iterator[Row | Refusal]]:
        """Assets extended for the new rows, and these rows; unusable ones become refusals.

        Args:
            items: rows of the new files, from ``read``.
            known: the training rows so far.
            reading: the options that its data was prepared with.
        """


@runtime_checkable
class Ensemblable(Protocol):
    """A classifier whose logits can be combined with another run's (``--ensemble-with``)."""

    @abstractmethod
    def class_labels(self, assets: Any) -> Sequence[str]:
        """The label of each logit, in order."""


@runtime_checkable
class SourceFree(Ensemblable, Protocol):
    """A classifier that can be adapted to rows without labels (``update --without-labels``)."""

    @abstractmethod
    def adaptation_assets(self, assets: Any) -> Any:
        """The assets for augmenting unlabelled rows."""


@runtime_checkable
class DistillsRows(Protocol):
    """A task whose teacher is evaluated once per row (``compress --distill``)."""

    @abstractmethod
    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: Any, *, teacher: Any
    ) -> Example:
        """An example whose target includes the teacher's outputs for its row.

        Args:
            assets: assets of the student.
            teacher: assets of the teacher.
        """

    @abstractmethod
    def distillation_loss(self, assets: Any, *, teacher: Any) -> Any:
        """The Keras loss for such examples; its ``facts`` are recorded.

        Raises:
            UsageError: the models are incompatible.
        """


@runtime_checkable
class DistillsBatches(Protocol):
    """A task whose teacher sees every batch as augmented for the student."""

    @abstractmethod
    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """A model that computes the soft targets from the student's inputs.

        Raises:
            UsageError: the models are incompatible.
        """

    @abstractmethod
    def add_soft_targets_to_batch(self, batch: Batch, outputs: Any, assets: Any) -> Batch:
        """A batch whose targets include the teacher's outputs.

        Args:
            assets: assets of the student.
        """

    @abstractmethod
    def distillation_loss(self, assets: Any, *, teacher: Any) -> Any:
        """The Keras loss for such batches; for several outputs a dict of losses."""


@runtime_checkable
class DistillsUnlabelled(Protocol):
    """A task whose distillation loss can do without labels (``compress --unlabelled``)."""

    @abstractmethod
    def teacher_only(self, example: Example, assets: Any) -> Example:
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
class Bundled(Protocol):
    """A task whose runs can predict on a small device without aitk (``compress --bundle``)."""

    @abstractmethod
    def bundle(self, assets: Any, reading: Any) -> BundleParts:
        """The script code before and after the model, with the values that it needs.

        Args:
            reading: the options with which the run's data was prepared.

        Raises:
            UsageError: a step cannot run with NumPy alone.
        """


@runtime_checkable
class PrunesVocabulary(Protocol):
    """A task whose models have a table with a row for each unit of a vocabulary."""

    @abstractmethod
    def prune_vocabulary(
        self, assets: Any, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, int, np.ndarray]:
        """The assets without the units that no row holds.

        Returns:
            They, how many units there were, and the old numbers of those that stay, in order.

        Raises:
            UsageError: this vocabulary cannot be pruned.
        """


@runtime_checkable
class Generative(Protocol):
    """A task whose predictions need several calls of the model (decoding, tiles, chunks)."""

    @abstractmethod
    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: Any,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> Any:
        """The outputs for a batch, as passed to ``decode`` and ``measure``.

        Args:
            predict: maps inputs by name to outputs.
            options: options of ``predict``; None for the defaults (training, plain evaluation).
        """


@runtime_checkable
class Configurable(Protocol):
    """A task whose predict options change the assets: other models to load, another input view."""

    @abstractmethod
    def configure(self, assets: Any, options: Any, *, open_scorer: OpenScorer | None) -> Any:
        """The assets for encoding, predicting and scoring rows with these options.

        Args:
            options: options of ``predict``; None for the defaults (training).
            open_scorer: opens a language model, possibly of another domain; None in training, where
                no option needs one.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """A task with prediction formats or prediction fields of its own."""

    #: File suffix -> its ``predict`` format, in addition to .jsonl and .csv.
    prediction_formats: Mapping[str, Callable[[], PredictionLines]]
    #: The fields of a prediction, by which ``predict --overwrite`` recognises its own files.
    #: ``boxes.score`` means a list of objects with a score.
    prediction_fields: tuple[str, ...]


@runtime_checkable
class ReadsOptions(Protocol):
    """A task whose predict options can contain rows, so that no file is needed."""

    @abstractmethod
    def rows_in_options(self, options: Any) -> Sequence[Row]:
        """The rows in the options, if any."""


@runtime_checkable
class Drawable(Protocol):
    """A task whose predictions can be drawn (``predict --draw``)."""

    @abstractmethod
    def draw(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> np.ndarray | None:
        """An image of a row and its prediction, (height, width, 3) uint8, or None."""


@runtime_checkable
class Summarizable(Protocol):
    """A task whose predictions are too large for the table of the worst ones."""

    @abstractmethod
    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """The prediction as shown in the table."""


@runtime_checkable
class RanksOutputs(Protocol):
    """A task whose models give ranked lists, whose entries have no fixed place."""

    #: Names of these outputs; "" is the only output of a model.
    ranked_outputs: ClassVar[frozenset[str]]


@runtime_checkable
class Explainable(Protocol):
    """A task that explains which parts of a row contributed to its prediction."""

    @abstractmethod
    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: Any,
        *,
        target: str | None = None,
        model: Callable[[], keras.Model] | None = None,
    ) -> dict[str, Any]:
        """Attribute one prediction to the parts of its row.

        Args:
            predict: maps a list of rows' fields to outputs (rows, ...).
            target: explain this class instead of the predicted one.
            model: opens the Keras model, for gradients; None for a run of another format.

        Returns:
            JSON: the ``prediction`` and ``parts``, a list of {"text": str, "weight": float} in
            order; and ``pictures``, {"caption": str} with "png" (bytes) or "svg" (str) each. At
            least one of the two.
        """


@runtime_checkable
class Embeddable(Protocol):
    """A task whose backbones embed values for other tasks (``core.inference.embedding``)."""

    #: The content field of a row.
    content: ClassVar[str]


@runtime_checkable
class LanguageModelling(Protocol):
    """A task whose models assign probabilities to texts."""

    @abstractmethod
    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: Any,
        *,
        ended: bool,
    ) -> np.ndarray:
        """The natural log-probability of each text, (texts,) float64.

        Args:
            predict: maps inputs by name to outputs.
            ended: probability of the text including its end; otherwise as a prefix.
        """


Rows = Sequence[Mapping[str, Any]]
Measured = Mapping[str, np.ndarray]


@runtime_checkable
class HasBaselines(Protocol):
    """A task with simple predictors for comparison with its models."""

    @abstractmethod
    def baselines(self, train: Rows, summary: Mapping[str, Any], assets: Any) -> Iterable[Any]:
        """``core.metrics.baselines.Baseline``s fitted to the training rows, simplest first.

        Args:
            assets: assets of the model to compare.
        """
