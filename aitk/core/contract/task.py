"""The interface between stages and tasks.

A task reads rows, declares how a row is stored, learns its assets from the training split,
encodes rows into batches, and decodes and scores the outputs of a model. Its models are
``ModelSpec``s (``model_spec``); optional abilities are protocols (``capabilities``). A pretraining
objective such as masked LM implements the same interface.

Nothing here needs TensorFlow: a compressed run predicts without it.
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

#: ``skipped``: the check was not made for lack of data.
Grade = Literal["ok", "skipped", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a data check: shown in the report and stored in ``dataset.json``."""

    check: str
    grade: Grade
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Inspector(Protocol):
    """Inspects every accepted row once while ``prepare`` streams the rows."""

    def add(self, row: Row, split: str) -> None: ...

    def findings(self) -> list[Finding]: ...

    def summary(self) -> dict[str, Any]:
        """Statistics for ``dataset.json`` (JSON values). ``labels`` are those of the training
        split; ``charts`` (name -> {"x": [...], "y": [...]}) are drawn in the report, and
        ``pictures`` ({"caption": str, "png": bytes} each) are shown only there."""


class Assets(Protocol):
    """Data of a model besides its weights: labels, tokeniser, statistics."""

    def save(self, folder: Path) -> None: ...


AssetsT = TypeVar("AssetsT", bound=Assets)
#: Of protocols whose methods only receive assets.
AssetsT_contra = TypeVar("AssetsT_contra", bound=Assets, contravariant=True)
#: Receives a sentence for the user about an automatic decision.
Note = Callable[[str], None]


def once(note: Note) -> Note:
    """A ``Note`` that passes each sentence on once."""
    noted: set[str] = set()

    def pass_on(sentence: str) -> None:
        if sentence not in noted:
            noted.add(sentence)
            note(sentence)

    return pass_on


@dataclass(frozen=True, slots=True)
class Metric:
    """The metric by which runs are compared.

    Attributes:
        name: name in ``Evaluation.metrics``.
        is_rate: a share or an error rate, of which 0.01 is one point. Differences of other metrics
            (perplexity, RMSE) are relative to the value.
        selection: metric for model selection, if not this one; must improve in the same direction.
    """

    name: str
    higher_is_better: bool = True
    is_rate: bool = True
    selection: str | None = None

    @property
    def for_selection(self) -> str:
        """The metric that selects the best epoch."""
        return self.selection or self.name

    @property
    def watched(self) -> tuple[str, ...]:
        """The metrics displayed during training."""
        return (self.name, self.selection) if self.selection else (self.name,)


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded row: arrays without a batch axis.

    Attributes:
        inputs: name -> array; arrays whose first axis varies are padded by ``collate``.
        target: target output, or None for an unlabelled row.
        weight: its weight in the loss.
    """

    inputs: Mapping[str, np.ndarray]
    target: Any = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays with a batch axis, ready for the model.

    Attributes:
        inputs: model inputs, by name.
        targets: target outputs, or None.
        weights: loss weights of the rows (or their parts), or None.
        context: values about the rows for ``decode`` and ``measure`` that are not model inputs.
    """

    inputs: dict[str, np.ndarray]
    targets: Any = None
    weights: np.ndarray | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """A metric with its 95% interval, if computed.

    Attributes:
        interval: the method of the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    interval: str | None = None

    def as_json(self) -> dict[str, Any] | None:
        """The value in ``metrics.json``; None if undefined for the rows."""
        if not math.isfinite(self.value):
            return None
        known = dataclasses.asdict(self).items()
        return {name: value for name, value in known if value is not None}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The quality of predictions.

    Attributes:
        metrics: name -> score, the task's main metric first.
        per_row: (rows,) the values that the main metric averages, for paired comparisons.
        details: JSON values for the report: per-class table, confusion matrix, curves; and
            ``pictures``, {"caption": str, "png": bytes} each.
        statistic: maps bootstrap counts, how often each row was drawn (resamples, rows), to the
            main metric (resamples,); None if it is the mean of ``per_row``.
        warnings: caveats about the scores: rows that cannot be predicted correctly, classes
            without rows.
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
    """One task of one domain. Stateless: what it learns is in its assets."""

    #: "nlp.classify", as in the registry.
    name: ClassVar[str]
    #: Options dataclass of ``prepare``: finding, cleaning and checking of rows.
    reading: ClassVar[type]
    #: Options dataclass of ``predict``.
    predict_options: ClassVar[type[PredictOptions]] = PredictOptions
    #: Model name -> specification, in display order; the first is the default.
    models: ClassVar[Mapping[str, AnyModel]]
    #: The metric by which runs are compared, and whose loss ``compress`` limits.
    metric: ClassVar[Metric]
    #: Whether all rows have the same length (see ``length``), so that sorting gains nothing.
    fixed_length: ClassVar[bool] = False

    # Rows -----------------------------------------------------------------

    @abstractmethod
    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        """Stream the rows of the user's files, in order, cleaned by the options.

        With ``labelled=False`` (predict), labels are not required, and ``Row.record`` is the
        original record.

        Args:
            note: receives automatic decisions: encoding, header, columns.
        """

    @abstractmethod
    def key(self, fields: Mapping[str, Any]) -> str:
        """The identity of a row: equal keys are duplicates and share a split."""

    @abstractmethod
    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The storage schema of a row: a TensorFlow Datasets features dictionary.

        Values are those of ``core.contract.features``, or tfds feature connectors; import tfds
        inside.
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
        """Compute the assets from the training rows alone.

        Args:
            settings: model settings, an instance of its ``ModelSpec.settings``.
            start: the pretrained source, whose tokeniser is used.
            balance: weight rows by inverse class frequency.
            tables: folder of the tables that a ``Grouped`` task stored with the rows.
            note: receives faults in the rows.
        """

    @abstractmethod
    def load_assets(self, folder: Path) -> AssetsT:
        """Read assets written by ``Assets.save``."""

    # Batches --------------------------------------------------------------

    @abstractmethod
    def encode(self, rows: Sequence[Mapping[str, Any]], assets: AssetsT) -> list[Example]:
        """Encode rows, one example per row. Deterministic, so it may be cached."""

    @abstractmethod
    def length(self, example: Example) -> int:
        """The length by which batches are sorted (tokens, frames); constant if nothing varies."""

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
            rng: given in training (augmentation, masking); elsewhere seeded by the caller.
            pad_to: the padded length, if fixed.
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
        """Convert a batch of model outputs to predictions, one JSON object per row.

        Args:
            outputs: (batch, ...), or a dict of such arrays for several outputs.
            options: an instance of ``predict_options``; None for the defaults.
        """

    @abstractmethod
    def measure(self, batch: Batch, outputs: Any, assets: AssetsT) -> dict[str, np.ndarray]:
        """The values of a batch that scoring needs: arrays with one entry per row."""

    @abstractmethod
    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: AssetsT,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        """Score all measured values; ``resamples`` > 0 adds bootstrap intervals."""
