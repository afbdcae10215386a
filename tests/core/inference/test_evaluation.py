"""Evaluations: scores, one result a row, the worst predictions as the task shows them."""

import numpy as np
import pytest

from aitk.core.contract.progress import Silent
from aitk.core.contract.task import Evaluation, Score
from aitk.core.inference.evaluation import WORST, evaluate_rows
from tests.core.toy_task import ToyTask


class Keyed(ToyTask):
    def key(self, fields):
        return str(fields["values"])


class Shown(Keyed):
    """Draws a dot as bright as the row is long, and shows half of a prediction."""

    def draw(self, fields, prediction):
        return np.full((1, 1, 3), len(fields["values"]), np.uint8)

    def summarize(self, fields, prediction):
        return {"short": prediction["prediction"][:2]}


def evaluated(task, rows, **given):
    """Evaluate a model that takes every row for ``plus``."""

    def predict(inputs):
        return np.tile([0.0, 1.0], (len(inputs["values"]), 1))

    return evaluate_rows(rows, task, None, predict, reporter=Silent(), resamples=0, **given)


@pytest.fixture
def rows():
    return [
        {"values": [1.0], "label": "plus"},
        {"values": [-1.0, -2.0], "label": "minus", "sound": b"12345"},
    ]


def test_each_row_has_its_prediction_and_its_score(rows):
    found = evaluated(Keyed(), rows)
    assert [(row["prediction"]["prediction"], row["score"]) for row in found.rows] == [
        ("plus", 1.0),
        ("plus", 0.0),
    ]
    assert found.rows[1]["fields"]["sound"] == "5 bytes"
    assert found.result(seed=3)["metrics"]["accuracy"]["value"] == 0.5
    assert found.result(seed=3)["seed"] == 3


def test_the_worst_predictions_are_shown_whole_where_a_task_does_not_say_how(rows):
    found = evaluated(Keyed(), rows)
    assert found.worst == [{"values": [-1.0, -2.0], "label": "minus", "prediction": "plus"}]
    assert found.pictures == []


def test_a_task_may_summarize_and_draw_its_worst_predictions(rows):
    found = evaluated(Shown(), rows)
    assert found.worst == [{"values": [-1.0, -2.0], "label": "minus", "short": "pl"}]
    (picture,) = found.pictures
    assert picture["caption"] == "1, one of the worst predictions"
    assert picture["png"].startswith(b"\x89PNG")


def test_no_more_than_some_of_the_worst_are_kept():
    rows = [{"values": [float(-number)], "label": "minus"} for number in range(1, 40)]
    assert len(evaluated(Keyed(), rows).worst) == WORST


def test_languages_with_enough_rows_have_scores_of_their_own():
    from aitk.core.inference.evaluation import score_languages

    class Task:
        def language(self, fields):
            return fields["language"]

        def score(self, measured, assets):
            return Evaluation({"accuracy": Score(float(measured["right"].mean()))}, np.zeros(1))

    rows = [{"language": name} for name in ["en"] * 30 + ["de"] * 20 + ["zh"] * 19]
    measured = {"right": np.array([1.0] * 30 + [0.5] * 20 + [0.0] * 19)}
    found = score_languages(rows, Task(), None, measured)
    assert found == [
        {"language": "en", "rows": 30, "accuracy": 1.0},
        {"language": "de", "rows": 20, "accuracy": 0.5},
    ]
    assert not score_languages(rows[:30], Task(), None, {"right": measured["right"][:30]})
    assert not score_languages(rows, object(), None, measured)
