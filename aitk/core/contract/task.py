"""The contract between the stages and a task: a small set of verbs.

A task reads rows, says how a row is stored, learns its assets from the training
split, turns rows into batches, builds a Keras model, decodes and scores what the
model puts out. The stages know nothing else of it. A task that is a pretraining
objective (masked LM) fulfils the same contract.

Everything but ``build`` and ``objective`` works without TensorFlow, so that a
compressed run predicts without importing it.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from aitk.core.contract.rows import Refusal, Row

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.contract.progress import Reporter
    from aitk.core.inference.text_scores import OpenScorer
    from aitk.core.io.prediction_files import AnswerLines

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


#: What the only output of a model is called.
ONLY_OUTPUT = "outputs"


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
    """

    metrics: Mapping[str, Score]
    per_row: np.ndarray
    details: Mapping[str, Any] = field(default_factory=dict)
    statistic: Callable[[np.ndarray], np.ndarray] | None = None

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """The main metric of bootstrap samples, (resamples, rows) -> (resamples,)."""
        if self.statistic is not None:
            return self.statistic(counts)
        drawn = counts.sum(axis=1)
        means = np.full(len(counts), np.nan)
        return np.divide(counts @ self.per_row, drawn, out=means, where=drawn > 0)


class Embed(Protocol):
    """Vectors of values by an encoder, which may belong to another domain."""

    def __call__(self, source: str, values: Sequence[Any], *, kind: str) -> np.ndarray:
        """(values, d) float32, zero rows for None; see ``core.inference.embedding.embed``."""


@dataclass(frozen=True)
class NoAnswerOptions:
    """A task whose answers take no options of their own."""


class Task(ABC):
    """One task of one domain. Stateless: what it learns lives in its assets."""

    #: "nlp.classify", as in the table of tasks.
    name: ClassVar[str]
    #: Options dataclass of ``prepare``: how rows are found, cleaned and checked.
    reading: ClassVar[type]
    #: Model name -> settings dataclass. Its order is the order people see.
    models: ClassVar[Mapping[str, type]]
    #: The metric that runs are judged by, and that ``compress`` guards.
    main_metric: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    #: The main metric is a share or an error rate, of which 0.01 is one point. Differences of any
    #: other (a perplexity, an error in units of the ratings) are judged relative to its value.
    metric_is_rate: ClassVar[bool] = True
    #: The metric that picks the best epoch, if not the main one: one that counts more on the same
    #: rows, and is better where the main one is.
    epoch_metric: ClassVar[str] = ""
    #: Settings that a run does not hand on to a training from it: how rows vary, and whatever else
    #: its network does not depend on. What suits one aim (masked sound) does not suit another.
    not_handed_on: ClassVar[frozenset[str]] = frozenset()
    #: The field of a row that holds its content, for vectors of it (``core.inference.embedding``).
    content: ClassVar[str] = "text"
    #: How many answers a row ``predict`` gives where nobody says.
    usual_top_k: ClassVar[int] = 1
    #: Options dataclass of ``predict``: what the user may ask of the answers. Those declared with
    #: ``scored`` are options of ``evaluate`` too.
    answering: ClassVar[type] = NoAnswerOptions
    #: Suffix of a file -> how ``predict`` writes it, beside .jsonl and .csv.
    formats: Mapping[str, Callable[[], AnswerLines]] = {}
    #: What each answer has; ``predict --overwrite`` knows files of answers by it. ``boxes.score``
    #: stands for a list of objects with a score.
    answer_names: ClassVar[tuple[str, ...]] = ("prediction",)
    #: Its models are heads over any backbone of the domain, which the setting ``backbone`` names.
    any_backbone: ClassVar[bool] = False
    #: Its outputs can be taught to a smaller model (``compress --distill``; see ``teach``).
    distils: ClassVar[bool] = True
    #: Its models are classifiers that fit themselves to rows without labels.
    adapts: ClassVar[bool] = False
    #: Its outputs are logits of its labels, which can be joined with another run's (``--also``).
    combines: ClassVar[bool] = False
    #: A larger model is asked about every batch as it is varied for training (``teach_batch``),
    #: not once about every row (``teach``).
    asks_each_batch: ClassVar[bool] = False
    #: Rows are split one by one, by a hash of their key. If not, ``arrange`` splits them.
    splits_by_key: ClassVar[bool] = True
    #: Every row is as long as any other (see ``length``): nothing is gained by sorting many.
    one_length: ClassVar[bool] = False

    @property
    def watched_metrics(self) -> tuple[str, ...]:
        """What people watch in training: the main metric, and the one that picks the epoch."""
        return (self.main_metric, self.epoch_metric) if self.epoch_metric else (self.main_metric,)

    # Rows -----------------------------------------------------------------

    @abstractmethod
    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        """Stream the rows of the user's files, in order, cleaned as ``reading`` says.

        With ``labelled=False`` (predict) no label is needed, and ``Row.record`` carries the
        record as it stood in the file. Notes for the user come from ``reading_notes``.
        """

    def reading_notes(self) -> list[str]:
        """What reading decided by itself since last asked (encoding, header, columns), and what
        ``learn`` found wrong with its rows."""
        return []

    def arrange(
        self,
        items: Iterator[Row | Refusal],
        reading: Any,
        *,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        embed: Embed,
        reporter: Reporter,
    ) -> Iterator[Row | Refusal]:
        """Make the rows that are stored out of those that were read; by default they are those.

        A task whose rows depend on each other (events of one log) gathers and splits them here
        (``splits_by_key`` is False then), and may write tables that its rows refer to.

        Args:
            items: what ``read`` yields; refusals pass through.
            shares: of each split.
            tables: folder for Parquet files beside the rows.
            embed: makes vectors of texts, pictures or sounds by any encoder.
        """
        del reading, shares, seed, tables, embed, reporter
        return items

    @abstractmethod
    def key(self, fields: Mapping[str, Any]) -> str:
        """What identifies a row: equal keys are duplicates and share a split."""

    @abstractmethod
    def inspector(self, reading: Any) -> Inspector:
        """A fresh inspector of the data's quality."""

    @abstractmethod
    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """How a row is stored: a TensorFlow Datasets features dictionary.

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
    ) -> Assets:
        """Learn vocabulary and labels from the training rows alone.

        With ``start`` the tokeniser of the pretrained model is kept. ``balance`` weights rows
        by the inverse frequency of their class. ``tables`` is what ``arrange`` wrote.
        """

    @abstractmethod
    def load_assets(self, folder: Path) -> Assets:
        """Read what ``Assets.save`` wrote."""

    def output_sizes(self, assets: Any) -> Mapping[str, int]:
        """How many numbers an output has in its last axis, by name, where the assets decide it.

        The only output of a model is called ``ONLY_OUTPUT``.
        """
        del assets
        return {}

    def check_tables(self, tables: Path, assets: Any) -> None:
        """Raise an ``ArtifactError`` where rows of other data mean something else to the assets.

        Args:
            tables: what ``arrange`` wrote beside these rows.
        """
        del tables, assets

    # Batches --------------------------------------------------------------

    @abstractmethod
    def encode(self, fields: Mapping[str, Any], assets: Any) -> Example:
        """Turn one row into arrays. Deterministic, so it may be cached."""

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: Any) -> list[Example]:
        """Encode several rows; override where a library is faster on many."""
        return [self.encode(row, assets) for row in rows]

    @abstractmethod
    def length(self, example: Example) -> int:
        """What batches are bucketed by (tokens, frames); a constant where nothing varies."""

    @abstractmethod
    def collate(
        self,
        examples: Sequence[Example],
        assets: Any,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Pad and stack examples. ``rng`` is given in training (augmentation, masking) and may
        be seeded by the caller elsewhere; ``pad_to`` fixes the padded length."""

    # Model ----------------------------------------------------------------

    def open_folder(
        self, folder: Path, config: Mapping[str, Any], *, source: str
    ) -> Pretrained | None:
        """Weights in a folder that the task reads itself; None leaves it to Keras Hub.

        Args:
            config: the folder's ``config.json``.
            source: what ``--from`` was.
        """
        del folder, config, source
        return None

    def adopt(self, found: Pretrained) -> Pretrained:
        """Fit weights from elsewhere to this domain: the backbone's inputs, its tokeniser."""
        return found

    @abstractmethod
    def build(
        self, model: str, settings: Any, assets: Any, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        """Build the functional Keras model, its encoder being a layer named ``backbone``.

        Inputs are named as ``collate`` names them. With ``backbone`` the given one is used, and
        only the head is new; a task whose backbone depends on its assets leaves that to ``fill``.
        """

    def solve(
        self,
        model: str,
        settings: Any,
        assets: Any,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model | None:
        """The model with its weights computed from the training rows at once.

        None where it has no such form: then ``build`` makes it, and it is trained.
        """
        del model, settings, assets, rows, seed, reporter
        return None

    def prune(self, model: keras.Model, share: float) -> keras.Model | None:
        """A solved model without the ``share`` of its weights that matter least.

        None for one that is trained: then its weights are pruned while it is trained further.
        """
        del model, share
        return None

    @abstractmethod
    def objective(self, assets: Any) -> Any:
        """The Keras loss the model is trained with (from logits)."""

    def teach(self, example: Example, outputs: np.ndarray, assets: Any, *, teacher: Any) -> Example:
        """An example that also holds what a larger model made of its row (``distils``).

        Args:
            outputs: of the larger model; by default logits of classes, put behind the target.
            assets: of the model that is taught.
            teacher: assets of the larger model.
        """
        del assets, teacher
        return dataclasses.replace(example, target=np.append(example.target, outputs))

    def lesson(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """What a larger model is asked about each batch (``asks_each_batch``): its outputs.

        Args:
            student: the model that is taught, whose inputs the lesson takes.

        Raises:
            UsageError: the models are too unlike for one to teach the other.
        """
        del student
        return teacher

    def teach_batch(self, batch: Batch, outputs: Any, assets: Any) -> Batch:
        """A batch whose targets also hold what a larger model made of it (``asks_each_batch``).

        Args:
            outputs: of the ``lesson``; by default logits of classes, put behind the target.
            assets: of the model that is taught.
        """
        del assets
        return dataclasses.replace(batch, targets=np.concatenate([batch.targets, outputs], axis=-1))

    def taught_objective(self, assets: Any, *, teacher: Any) -> Any:
        """The Keras loss of such examples or batches; its ``facts`` are recorded.

        Of a model with several outputs a dict of losses.

        Raises:
            UsageError: the models are too unlike for one to teach the other.
        """
        del assets, teacher
        from aitk.core.compression.distill import DistillationLoss

        return DistillationLoss()

    def fill(self, found: Pretrained, model: keras.Model, assets: Any) -> Pretrained:
        """Give a built model what ``build`` left to be taken from the source.

        Returns:
            The source, with what was loaded and what was skipped.
        """
        del assets
        return found.fill(model)

    # New rows -------------------------------------------------------------

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: Any,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[Any, Iterator[Row | Refusal]]:
        """What ``update`` learns from: assets that know the new rows, and these rows.

        By default nothing grows: a row whose label training never saw is refused. Rows may have
        no labels, where the task ``adapts``.

        Args:
            items: what ``read`` yields of the new files.
            known: the training rows so far.
            reading: the options that its data was prepared with.
        """
        del known, reading
        labels = getattr(assets, "labels", ())

        def checked() -> Iterator[Row | Refusal]:
            for item in items:
                label = item.fields.get("label") if isinstance(item, Row) else None
                if labels and label is not None and label not in labels:
                    reason = f"the label {label!r} was never seen in training"
                    item = Refusal(item.file, item.line, reason)
                yield item

        return assets, checked()

    def fitting_assets(self, assets: Any) -> Any:
        """What rows without labels are varied by (``adapts``); by default as in training."""
        return assets

    def grow(
        self, model: keras.Model, name: str, settings: Any, *, old: Any, new: Any
    ) -> keras.Model:
        """The model for grown assets, what it knew kept; by default nothing ever grows."""
        del name, settings, old, new
        return model

    # Answers --------------------------------------------------------------

    def answering_assets(self, assets: Any, asked: Any) -> Any:
        """What rows are encoded, answered and scored with; by default the run's own assets.

        Args:
            asked: the ``answering`` options: one that changes what the model is shown does so here.
        """
        del asked
        return assets

    def equip(self, assets: Any, asked: Any, *, open_scorer: OpenScorer) -> Any:
        """The assets with the other models that the answers ask for; by default there are none.

        Args:
            asked: the ``answering`` options.
            open_scorer: opens a language model, which may belong to another domain.
        """
        del asked, open_scorer
        return assets

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: Any,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> Any:
        """What comes out of the model for a batch; by default it is run once on the inputs.

        A task whose answers take several runs (a text written unit by unit, a sound fed in
        chunks) does them here; ``decode`` and ``measure`` are given what this returns.

        Args:
            predict: maps inputs by name to outputs.
            asked: the ``answering`` options, None where nobody asked (training, and evaluation
                where all are as by default).
        """
        del assets, top_k, asked
        return predict(batch.inputs)

    @abstractmethod
    def decode(
        self,
        batch: Batch,
        outputs: Any,
        assets: Any,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        """Turn a batch of model outputs into predictions, one JSON object a row.

        Args:
            outputs: (batch, ...), or a dict of such arrays where the model names several.
            asked: the ``answering`` options, their defaults where it is None.
        """

    def draw(self, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> np.ndarray | None:
        """A picture of a row and its answer, (height, width, 3) uint8; None if it has none."""
        del fields, answer
        return None

    def shown(self, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """What the table of the worst answers shows of an answer; by default all of it."""
        del fields
        return dict(answer)

    @abstractmethod
    def measure(self, batch: Batch, outputs: Any, assets: Any) -> dict[str, np.ndarray]:
        """Keep of a batch what scoring needs: arrays whose first axis is the row."""

    @abstractmethod
    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: Any,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        """Score everything measured; ``resamples`` > 0 adds bootstrap intervals."""

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
        """Say which parts of one row carried its prediction.

        Args:
            predict: maps a list of rows' fields to outputs (rows, ...).
            target: explain this answer instead of the predicted one.
            model: opens the Keras model, for gradients; None for a run of another format.

        Returns:
            JSON: the ``prediction`` and ``parts``, a list of {"text": str, "weight": float} in
            order; and ``pictures``, {"caption": str, "png": bytes} each. At least one of the two.
        """
