"""Common base of regression tasks: targets, predictions, scores."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.model_spec import ONLY_OUTPUT, SettingsT, TrainedModel
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Assets, Batch, Evaluation, Example, Metric, Task
from aitk.core.io.values import quoted, to_number
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.regression import mean_score, score_regression

#: Usual names of the score column.
SCORE_COLUMNS = ("score", "rating", "stars", "grade", "评分", "分数")


class ScoreAssets(Assets, Protocol):
    """Assets of a regression model with output (score - mean) / deviation."""

    @property
    def mean(self) -> float: ...

    @property
    def deviation(self) -> float: ...


ScoreAssetsT = TypeVar("ScoreAssetsT", bound=ScoreAssets)


class ScoreModel(TrainedModel[SettingsT, ScoreAssetsT]):
    """A model with one output, trained by squared error on standardised scores."""

    def output_sizes(self, assets: ScoreAssetsT) -> Mapping[str, int]:
        del assets
        return {ONLY_OUTPUT: 1}

    def loss(self, assets: ScoreAssetsT) -> Any:
        import keras

        del assets
        return keras.losses.MeanSquaredError()


class ScoreTask(Task[ScoreAssetsT]):
    """Regression: the field ``score`` of a row is its target."""

    metric = Metric("rmse", higher_is_better=False, is_rate=False)

    def learn_scores(self, summary: Mapping[str, Any]) -> dict[str, float]:
        """The arguments ``mean`` and ``deviation`` of the assets, for ``learn``.

        Raises:
            DataError: all training rows have the same score.
        """
        found = summary["scores"]
        if not found["deviation"]:
            raise DataError(
                f"every training row has the score {found['mean']:g}: nothing to learn",
                hint="Set the score column with --label-column",
            )
        return {"mean": found["mean"], "deviation": found["deviation"]}

    def score_batch(
        self, inputs: dict[str, np.ndarray], examples: Sequence[Example], assets: ScoreAssetsT
    ) -> Batch:
        """The batch of these inputs with standardised scores (batch, 1), for ``collate``."""
        if any(item.target is None for item in examples):
            return Batch(inputs)
        scores = np.array([[item.target] for item in examples], np.float32)
        return Batch(inputs, (scores - assets.mean) / assets.deviation)

    def scores(self, outputs: np.ndarray, assets: ScoreAssetsT) -> np.ndarray:
        """(rows, 1) outputs to (rows,) scores in the units of the data."""
        return np.asarray(outputs, np.float64)[:, 0] * assets.deviation + assets.mean

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: ScoreAssetsT,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        return [{"prediction": round(float(each), 6)} for each in self.scores(outputs, assets)]

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ScoreAssetsT
    ) -> dict[str, np.ndarray]:
        return {
            "target": self.scores(batch.targets, assets),
            "prediction": self.scores(outputs, assets),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ScoreAssetsT,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_regression(
            measured["target"], measured["prediction"], resamples=resamples, seed=seed
        )

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: ScoreAssetsT
    ) -> Iterable[Baseline]:
        """See ``HasBaselines``: the mean."""
        yield mean_score(summary["scores"])

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: ScoreAssetsT,
        known: Rows,
        *,
        reading: Any,
    ) -> tuple[ScoreAssetsT, Iterator[Row | Refusal]]:
        """See ``Updatable``: any score is valid."""
        del known, reading
        return assets, items


@dataclass(frozen=True)
class ScoreReader:
    """Reads the field ``score`` of each record; interchangeable with a ``LabelReader``."""

    has_many: bool = False

    def read(
        self, record: Mapping[str, Any], columns: Sequence[str]
    ) -> tuple[dict[str, Any], str | None]:
        """The field of a record, or the reason why it has none."""
        return self.read_value(record.get(columns[0]))

    def read_value(self, value: Any) -> tuple[dict[str, Any], str | None]:
        """The field from the value of a record's column."""
        if value is None or not str(value).strip():
            return {}, "it has no score"
        try:
            return {"score": to_number(str(value))}, None
        except ValueError:
            return {}, f"its score is {quoted(str(value))}, not a number"


class ScoreStatistics:
    """Mean and standard deviation of the training scores, 8 bytes each."""

    def __init__(self) -> None:
        self._scores = array("d")

    def add(self, score: float, split: str) -> None:
        """Add a row."""
        if split == "train":
            self._scores.append(score)

    def state(self) -> bytes:
        """See ``Mergeable``."""
        return self._scores.tobytes()

    def merge(self, state: bytes) -> None:
        """See ``Mergeable``."""
        self._scores.frombytes(state)

    def summary(self) -> dict[str, Any]:
        """``scores``: their mean, deviation and range, if there are training rows."""
        if not self._scores:
            return {}
        mean = squares = 0.0
        for count, score in enumerate(self._scores, 1):  # Welford 1962
            change = score - mean
            mean += change / count
            squares += change * (score - mean)
        deviation = float(np.sqrt(squares / len(self._scores)))
        return {
            "scores": {
                "mean": mean,
                "deviation": deviation,
                "lowest": min(self._scores),
                "highest": max(self._scores),
            }
        }
