"""A run opened for prediction: its task, assets and model, loaded once for any number of rows."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.ensemble import combine
from aitk.core.inference.prediction import configure, decode_rows
from aitk.core.inference.predictors import Predictor
from aitk.core.inference.text_scores import open_scorer
from aitk.registry import load_task


@dataclass(frozen=True)
class Session:
    """The objects needed to predict rows.

    Attributes:
        task: task of the run, ensembled with a second run if given.
        assets: assets, configured by the predict options.
        predictor: the model.
        predict_options: an instance of ``task.predict_options``.
    """

    task: Task
    assets: Assets
    predictor: Predictor
    predict_options: Any

    def predict(
        self, window: Sequence[Row | Refusal], *, batch_size: int, top_k: int | None
    ) -> list[dict[str, Any] | None]:
        """The prediction for each row of a window, None for a refused one."""
        predictions = decode_rows(
            [item.fields for item in window if isinstance(item, Row)],
            self.task,
            self.assets,
            self.predictor,
            batch_size=batch_size,
            top_k=top_k or self.task.predict_options.default_top_k,
            options=self.predict_options,
        )
        return [next(predictions) if isinstance(item, Row) else None for item in window]


def open_session(
    run: Run,
    task: Task,
    *,
    predict_options: Any,
    second: Run | None = None,
    weight: float = 1.0,
    trust: bool = False,
    reporter: Reporter,
) -> Session:
    """Load the assets and the model of a run.

    Args:
        predict_options: an instance of ``task.predict_options``.
        second: another run to ensemble with, and the weight of its log-probabilities.
        trust: also execute a model that contains a program.

    Raises:
        ArtifactError: the run is damaged.
        UsageError: the task cannot be ensembled.
    """
    assets = configure(
        task,
        open_assets(task, run),
        predict_options,
        open_scorer=functools.partial(open_scorer, task_of=load_task, trust=trust),
    )
    predictor = open_model(task, run, assets, reporter=reporter)
    combined = combine(task, run, assets, second, weight=weight)
    return Session(combined, assets, predictor, predict_options)


def merge(row: Row, prediction: Mapping[str, Any]) -> dict[str, Any]:
    """The input's columns, then the prediction's: ``predicted_text`` next to a ``text`` column."""
    merged = dict(row.record)
    for key, value in prediction.items():
        if key not in merged:
            merged[key] = value
            continue
        numbered = (f"predicted_{key}_{number}" for number in itertools.count(2))
        names = itertools.chain([f"predicted_{key}"], numbered)
        merged[next(name for name in names if name not in merged)] = value
    return merged


def refusal(item: Refusal, *, several: bool) -> dict[str, Any]:
    """The replacement of a prediction: line and reason, plus the file name if there are several."""
    where = {"file": item.file} if several else {}
    return where | {"line": item.line, "error": item.reason}
