"""The contract between stages and tasks.

A task reads rows, declares how a row is stored, learns its assets from the training split,
encodes rows into batches, and decodes and scores the outputs of a model. Its models are
``ModelSpec``s (``model_spec``); what only some tasks can do is a protocol (``capabilities``).
A pretraining objective such as masked LM fulfils the same contract.

Nothing here needs TensorFlow: a compressed run predicts without importing it.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np

from aitk.core.contract.options import PredictOptions
from aitk.core.contract.rows import Refusal, Row

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.contract.model_spec import AnyModel

#: ``skipped`` is a check that was not made: there was nothing to make it on.
Grade = Literal["ok", "skipped", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of the data found: shown in the report and kept in ``dataset.json``."""

    check: str
    grade: Grade
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Inspector(Protocol):
    """Looks at every accepted row once while ``prepare`` streams them."""

    def add(self, row: Row, split: str) -> None: ...

    def findings(self) -> list[Finding]: ...

    def summary(self) -> dict[str, Any]:
        """Statistics for ``dataset.json`` (JSON values). ``labels`` are those of the training
        split; ``charts`` (name -> {"x": [...], "y": [...]}) are drawn in the report, and
        ``pictures`` ({"caption": str, "png": bytes} each) are shown there alone."""


class Assets(Protocol):
    """What a model needs besides its weights: labels, tokeniser, statistics."""

    def save(self, folder: Path) -> None: ...


AssetsT = TypeVar("AssetsT", bound=Assets)
#: Receives a sentence for the user: a decision that reading or learning made by itself.
Note = Callable[[str], None]


def once(note: Note) -> Note:
    """Passes each sentence on once."""
    told: set[str] = set()

    def pass_on(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            note(sentence)

    return pass_on


@dataclass(frozen=True, slots=True)
class Metric:
    """The metric that runs are judged by.

    Attributes:
        name: as in ``Evaluation.metrics``.
        is_rate: a share or an error rate, of which 0.01 is one point. Differences of any other
            metric (perplexity, RMSE) are judged relative to its value.
        selection: metric for model selection, if not this one; must improve in the same direction.
    """

    name: str
    higher_is_better: bool = True
    is_rate: bool = True
    selection: str | None = None

    @property
    def for_selection(self) -> str:
        """The metric that picks the best epoch."""
        return self.selection or self.name

    @property
    def watched(self) -> tuple[str, ...]:
        """The metrics shown during training."""
        return (self.name, self.selection) if self.selection else (self.name,)


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded row: arrays without a batch axis.

    Attributes:
        inputs: name -> array; arrays whose first axis varies are padded by ``collate``.
        target: what the model should put out, or None where the row has no label.
        weight: its weight in the loss.
    """

    inputs: Mapping[str, np.ndarray]
    target: Any = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays with a batch axis, ready for the model.

    Attributes:
        inputs: what the model reads, by name.
        targets: what it should put out, or None.
        weights: of the rows (or their parts) in the loss, or None.
        context: what ``decode`` and ``measure`` need of the rows and the model does not.
    """

    inputs: dict[str, np.ndarray]
    targets: Any = None
    weights: np.ndarray | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """A metric with its 95% interval, where one was computed.

    Attributes:
        interval: the method of the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    interval: str | None = None

    def as_json(self) -> dict[str, Any] | None:
        """What ``metrics.json`` holds of it; None where the rows leave it undefined."""
        if not math.isfinite(self.value):
            return None
        known = dataclasses.asdict(self).items()
        return {name: value for name, value in known if value is not None}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good predictions are.

    Attributes:
        metrics: name -> score, the task's main metric first.
        per_row: (rows,) what the main metric averages, for paired comparisons.
        details: JSON values for the report: per-class table, confusion matrix, curves; and
            ``pictures``, {"caption": str, "png": bytes} each.
        statistic: the main metric of bootstrap samples: how often each row was drawn,
            (resamples, rows), to (resamples,); None where it is the mean of ``per_row``.
        warnings: what a reader of the scores should know: rows that no prediction could get
            right, classes that the scores say nothing of.
    """

    metrics: Mapping[str, Score]
    per_row: np.ndarray
    details: Mapping[str, Any] = field(default_factory=dict)
    statistic: Callable[[np.ndarray], np.ndarray] | None = None
    warnings: Sequence[str] = ()

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """The main metric of bootstrap samples, (resamples, rows) -> (resamples,)."""
        if self.statistic is not None:
            return self.statistic(counts)
        drawn = counts.sum(axis=1)
        means = np.full(len(counts), np.nan)
        return np.divide(counts @ self.per_row, drawn, out=means, where=drawn > 0)


class Task(ABC, Generic[AssetsT]):
    """One task of one domain. Stateless: what it learns lives in its assets."""

    #: "nlp.classify", as in the registry.
    name: ClassVar[str]
    #: Options dataclass of ``prepare``: how rows are found, cleaned and checked.
    reading: ClassVar[type]
    #: Options dataclass of ``predict``.
    predict_options: ClassVar[type[PredictOptions]] = PredictOptions
    #: Model name -> specification, in the order people see; the first is the default.
    models: ClassVar[Mapping[str, AnyModel]]
    #: The metric that runs are judged by, and that ``compress`` guards.
    metric: ClassVar[Metric]
    #: Every row is as long as any other (see ``length``), so that sorting by length gains nothing.
    fixed_length: ClassVar[bool] = False

    # Rows -----------------------------------------------------------------

    @abstractmethod
    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        """Stream the rows of the user's files, in order, cleaned as ``reading`` says.

        With ``labelled=False`` (predict) no label is needed, and ``Row.record`` carries the
        record as it stood in the file.

        Args:
            note: receives what reading decided by itself: encoding, header, columns.
        """

    @abstractmethod
    def key(self, fields: Mapping[str, Any]) -> str:
        """What identifies a row: equal keys are duplicates and share a split."""

    @abstractmethod
    def inspector(self, reading: Any) -> Inspector:
        """A fresh inspector of the data's quality."""

    @abstractmethod
    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The storage schema of a row: a TensorFlow Datasets features dictionary.

        Values are tfds feature connectors; import tfds inside.
        """

    # Assets ---------------------------------------------------------------

    @abstractmethod
    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> AssetsT:
        """Learn vocabulary and labels from the training rows alone.

        Args:
            settings: of the model, an instance of its ``ModelSpec.settings``.
            start: the pretrained source, whose tokeniser is kept.
            balance: weight rows by the inverse frequency of their class.
            tables: folder of the tables that a ``Grouped`` task stored beside the rows.
            note: receives what is wrong with the rows.
        """

    @abstractmethod
    def load_assets(self, folder: Path) -> AssetsT:
        """Read what ``Assets.save`` wrote."""

    # Batches --------------------------------------------------------------

    @abstractmethod
    def encode(self, rows: Sequence[Mapping[str, Any]], assets: AssetsT) -> list[Example]:
        """Turn rows into arrays, one example a row. Deterministic, so it may be cached."""

    @abstractmethod
    def length(self, example: Example) -> int:
        """What batches are bucketed by (tokens, frames); a constant where nothing varies."""

    @abstractmethod
    def collate(
        self,
        examples: Sequence[Example],
        assets: AssetsT,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad and stack examples.

        Args:
            rng: given in training (augmentation, masking); may be seeded by the caller elsewhere.
            pad_to: the padded length, where it must be fixed.
        """

    # Predictions ----------------------------------------------------------

    @abstractmethod
    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: AssetsT,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """Turn a batch of model outputs into predictions, one JSON object a row.

        Args:
            outputs: (batch, ...), or a dict of such arrays for a model with several outputs.
            options: an instance of ``predict_options``; None means the defaults.
        """

    @abstractmethod
    def measure(self, batch: Batch, outputs: Any, assets: AssetsT) -> dict[str, np.ndarray]:
        """Keep of a batch what scoring needs: arrays whose first axis is the row."""

    @abstractmethod
    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AssetsT,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        """Score everything measured; ``resamples`` > 0 adds bootstrap intervals."""
