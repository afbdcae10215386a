"""Capability protocols: what only some tasks can do.

A stage checks ``isinstance(task, Explainable)``; there are no capability flags.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Finding, Note, Task

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
    """The rows made of a whole log, and what was found in it (an ``Inspector``)."""

    def __iter__(self) -> Iterator[Row | Refusal]: ...

    def add(self, row: Row, split: str) -> None: ...

    def findings(self) -> list[Finding]: ...

    def summary(self) -> dict[str, Any]: ...


@runtime_checkable
class Grouped(Protocol):
    """A task whose rows depend on each other (events of one log): it gathers and splits them."""

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
        """Read the user's files and make the rows that are stored; refusals pass through.

        Args:
            shares: of each split.
            tables: folder for Parquet files beside the rows.
            embed: embeds texts, images or audio with any encoder.
        """

    @abstractmethod
    def check_tables(self, tables: Path, assets: Any) -> None:
        """Raise an ``ArtifactError`` where rows of other data mean something else to the assets.

        Args:
            tables: what ``group`` wrote beside these rows.
        """


@runtime_checkable
class DependsOnReading(Protocol):
    """A task whose targets and metric depend on how its rows are read: one label, or several."""

    @abstractmethod
    def for_reading(self, reading: Any) -> Task[Any]:
        """The task for rows that were read with these options."""


@runtime_checkable
class CountsReading(Protocol):
    """A task that counts while it reads what its inspector reports of all rows."""

    @abstractmethod
    def reading_counts(self) -> dict[str, Any]:
        """What was counted, as JSON, once every row has been read."""

    @abstractmethod
    def set_reading_counts(self, counts: Mapping[str, Any]) -> None:
        """Go on as if this process had read the rows itself.

        Args:
            counts: what ``reading_counts`` gave in another process.
        """


@runtime_checkable
class Calibrates(Protocol):
    """A task whose assets hold decision thresholds, which are tuned after training."""

    @abstractmethod
    def calibrate(self, measured: Mapping[str, np.ndarray], assets: Any) -> Any:
        """The assets with thresholds that suit the validation rows.

        Args:
            measured: what ``Task.measure`` kept of the validation rows at the best epoch.
        """


@runtime_checkable
class Updatable(Protocol):
    """A task that learns from new rows."""

    @abstractmethod
    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: Any,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[Any, Iterator[Row | Refusal]]:
        """Assets that know the new rows, and these rows; unusable ones become refusals.

        Args:
            items: what ``read`` yields of the new files.
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
        """The assets that unlabelled rows are varied with."""


@runtime_checkable
class DistillsRows(Protocol):
    """A task whose teacher is asked once about every row (``compress --distill``)."""

    @abstractmethod
    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: Any, *, teacher: Any
    ) -> Example:
        """An example whose target also holds the teacher's outputs for its row.

        Args:
            assets: of the student.
            teacher: assets of the teacher.
        """

    @abstractmethod
    def distillation_loss(self, assets: Any, *, teacher: Any) -> Any:
        """The Keras loss of such examples; its ``facts`` are recorded.

        Raises:
            UsageError: the models are too unlike for one to teach the other.
        """


@runtime_checkable
class DistillsBatches(Protocol):
    """A task whose teacher sees every batch as it was augmented for the student."""

    @abstractmethod
    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The model that computes what the student learns from, on the student's inputs.

        Raises:
            UsageError: the models are too unlike for one to teach the other.
        """

    @abstractmethod
    def add_soft_targets_to_batch(self, batch: Batch, outputs: Any, assets: Any) -> Batch:
        """A batch whose targets also hold the teacher's outputs.

        Args:
            assets: of the student.
        """

    @abstractmethod
    def distillation_loss(self, assets: Any, *, teacher: Any) -> Any:
        """The Keras loss of such batches; of a model with several outputs a dict of losses."""


@runtime_checkable
class Bundled(Protocol):
    """A task whose runs predict on a small device without aitk (``compress --bundle``)."""

    @abstractmethod
    def bundle(self, assets: Any, reading: Any) -> BundleParts:
        """What the script does before and after the model, with the values that it needs.

        Args:
            reading: the options that the run's data was prepared with.

        Raises:
            UsageError: a step has no place in a script that needs NumPy alone.
        """


@runtime_checkable
class Generative(Protocol):
    """A task whose predictions take several calls of the model (decoding, tiles, chunks)."""

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
        """The outputs for a batch, which ``decode`` and ``measure`` are given.

        Args:
            predict: maps inputs by name to outputs.
            options: of ``predict``; None means the defaults (training, plain evaluation).
        """


@runtime_checkable
class Configurable(Protocol):
    """A task whose predict options change the assets: other models to load, another input view."""

    @abstractmethod
    def configure(self, assets: Any, options: Any, *, open_scorer: OpenScorer | None) -> Any:
        """The assets with which rows are encoded, predicted and scored under these options.

        Args:
            options: of ``predict``; None means the defaults (training).
            open_scorer: opens a language model, which may belong to another domain; None in
                training, where no option asks for one.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """A task with prediction files or prediction fields of its own."""

    #: Suffix of a file -> how ``predict`` writes it, beside .jsonl and .csv.
    prediction_formats: Mapping[str, Callable[[], PredictionLines]]
    #: The fields of a prediction; ``predict --overwrite`` recognises its own files by them.
    #: ``boxes.score`` stands for a list of objects with a score.
    prediction_fields: tuple[str, ...]


@runtime_checkable
class ReadsOptions(Protocol):
    """A task whose predict options can hold rows themselves, so that no file is needed."""

    @abstractmethod
    def rows_in_options(self, options: Any) -> Sequence[Row]:
        """The rows that the options hold; none where they hold none."""


@runtime_checkable
class Drawable(Protocol):
    """A task whose predictions can be drawn (``predict --draw``)."""

    @abstractmethod
    def draw(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> np.ndarray | None:
        """An image of a row and its prediction, (height, width, 3) uint8; None if it has none."""


@runtime_checkable
class Summarizable(Protocol):
    """A task whose predictions are too large for the table of the worst ones."""

    @abstractmethod
    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """What the table shows of a prediction."""


@runtime_checkable
class Explainable(Protocol):
    """A task that shows which parts of a row contributed to its prediction."""

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
            target: explain this answer instead of the predicted one.
            model: opens the Keras model, for gradients; None for a run of another format.

        Returns:
            JSON: the ``prediction`` and ``parts``, a list of {"text": str, "weight": float} in
            order; and ``pictures``, {"caption": str} with "png" (bytes) or "svg" (str) each. At
            least one of the two.
        """


@runtime_checkable
class Embeddable(Protocol):
    """A task whose backbones embed values for other tasks (``core.inference.embedding``)."""

    #: The field of a row that holds its content.
    content: ClassVar[str]


@runtime_checkable
class LanguageModelling(Protocol):
    """A task whose models give probabilities to texts."""

    @abstractmethod
    def log_probabilities(
        self,
        texts: Sequence[str],
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: Any,
        *,
        ended: bool,
    ) -> np.ndarray:
        """The natural logarithm of each text's probability, (texts,) float64.

        Args:
            predict: maps inputs by name to outputs.
            ended: of the text and its end; if not, of a text that begins so.
        """


Rows = Sequence[Mapping[str, Any]]
Measured = Mapping[str, np.ndarray]


@runtime_checkable
class HasBaselines(Protocol):
    """A task that knows simple predictors to compare its models with."""

    @abstractmethod
    def baselines(self, train: Rows, summary: Mapping[str, Any], assets: Any) -> Iterable[Any]:
        """``core.metrics.baselines.Baseline``s learned from the training rows, simplest first.

        Args:
            assets: of the model that they are compared with.
        """
