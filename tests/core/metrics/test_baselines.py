"""Scores of simple predictors on the same rows, and warnings about a model below them."""

import numpy as np
import pytest

from aitk.core.contract.task import Metric
from aitk.core.metrics import baselines
from aitk.core.metrics.baselines import (
    Baseline,
    baseline_warnings,
    compare_with_baselines,
    describe_baselines,
    majority_class,
    score_baselines,
)
from tests.core.toy_task import LABELS, ToyTask

TARGETS = np.array([1] * 70 + [0] * 30)
MEASURED = {"target": TARGETS, "probabilities": np.eye(2)[TARGETS]}
ROWS = [{"label": LABELS[target]} for target in TARGETS]


class WithMajority(ToyTask):
    def baselines(self, train, summary, assets):
        return [majority_class(summary["label_counts"]["train"], LABELS)]


def scored(counts, *, rows=ROWS, measured=MEASURED):
    summary = {"label_counts": {"train": counts}}
    return score_baselines(WithMajority(), [], summary, None, rows, measured)


def compared(model_right, **given):
    per_row = np.asarray(model_right, float)
    return compare_with_baselines(WithMajority(), per_row.mean(), per_row, scored(**given))


def result(value, entries):
    return {"metrics": {"accuracy": {"value": value}}, "baselines": entries}


def test_the_majority_class_of_training_is_given_to_every_row():
    (plus,), (minus,) = scored({"minus": 1, "plus": 3}), scored({"minus": 3, "plus": 1})
    assert (plus.value, minus.value) == (0.7, 0.3)
    assert plus.per_row.tolist() == TARGETS.tolist()


def test_a_task_without_baselines_has_none():
    assert score_baselines(ToyTask(), [], {}, None, ROWS, MEASURED) == []


def test_a_model_above_the_baseline_raises_no_warning():
    entries = compared(np.ones(100), counts={"plus": 3})
    assert entries[0]["gain"]["low"] > 0.2
    assert not entries[0]["below"]
    assert baseline_warnings("accuracy", 1.0, entries) == []


def test_a_model_below_the_baseline_is_warned_of_with_the_interval():
    entries = compared(np.arange(100) < 40, counts={"plus": 3})
    (warning,) = baseline_warnings("accuracy", 0.4, entries)
    assert "worse than that of the baseline 'majority class' (0.7000)" in warning
    assert "-0.3000" in warning and "chance" not in warning


def test_a_difference_within_chance_is_reported_as_such():
    right = TARGETS.copy()
    right[0] = 0  # one of 70
    (warning,) = baseline_warnings("accuracy", 0.69, compared(right, counts={"plus": 3}))
    assert "may be due to chance" in warning


def test_where_less_is_better_a_lower_baseline_is_better():
    task = WithMajority()
    task.metric = Metric("rmse", higher_is_better=False)
    rows = np.arange(100) / 100
    better = baselines.BaselineScores("mean rating", 0.4, rows - 0.1)
    (entry,) = compare_with_baselines(task, 0.5, rows, [better])
    assert entry["below"]
    assert entry["gain"]["value"] == pytest.approx(-0.1)


def test_large_evaluations_compare_a_sample_and_note_it(monkeypatch):
    monkeypatch.setattr(baselines, "MOST_ROWS", 10)
    entries = compared(np.ones(100), counts={"plus": 3})
    assert entries[0]["rows"] == 10
    assert describe_baselines("accuracy", result(1.0, entries)).endswith("on 10 of the rows")


def test_scores_are_shown_in_one_line():
    entries = [{"name": "majority class", "value": 0.534}, {"name": "linear", "value": 0.871}]
    line = describe_baselines("accuracy", result(0.912, entries))
    assert line == "accuracy 0.9120, baseline 0.5340 (majority class), 0.8710 (linear)"
    assert describe_baselines("accuracy", result(0.912, [])) == ""


def test_a_baseline_that_cannot_be_scored_is_left_out():
    class Empty(ToyTask):
        def baselines(self, train, summary, assets):
            nothing = {"target": TARGETS[:0], "probabilities": np.zeros((0, 2))}
            return [Baseline("empty", lambda rows, measured: nothing)]

    assert score_baselines(Empty(), [], {}, None, ROWS, MEASURED) == []
