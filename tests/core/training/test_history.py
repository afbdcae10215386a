"""Which epoch is best, when the score last rose, and the record of a model without steps."""

import time

import numpy as np
import pytest

from aitk.core.contract.task import Metric
from aitk.core.training.batches import Examples
from aitk.core.training.history import Progress, evaluate_closed_form

ACCURACY = Metric("accuracy")
LOSS = Metric("accuracy", higher_is_better=False, selection="log_loss")


def progress(scores, *, name="accuracy"):
    return Progress(history=[{name: score} for score in scores])


@pytest.mark.parametrize(
    ("scores", "best", "without_gain"),
    [([0.5], True, 0), ([0.5, 0.5], True, 1), ([0.5, 0.6, 0.6], True, 1), ([0.7, 0.6], False, 1)],
)
def test_of_equal_scores_the_last_is_best_though_it_is_no_gain(scores, best, without_gain):
    assert progress(scores).last_is_best(ACCURACY) == best
    assert progress(scores).epochs_without_gain(ACCURACY) == without_gain


def test_the_metric_for_selection_decides_in_its_direction():
    falling = progress([0.9, 0.8, 0.85], name="log_loss")
    assert not falling.last_is_best(LOSS)
    assert falling.epochs_without_gain(LOSS) == 1


def test_the_seconds_of_a_model_in_closed_form_hold_its_computation():
    started = time.monotonic() - 30
    trained = evaluate_closed_form(None, None, None, validation=None, batch_size=1, started=started)
    assert trained.history[0]["seconds"] >= 30
    assert trained.measured is None


def test_a_model_in_closed_form_is_scored_on_the_validation_rows(toy_task, toy_rows):
    spec = toy_task.models["dense"]
    model = spec.build(spec.settings(), None)
    rows = Examples(toy_rows(30), toy_task, None)
    trained = evaluate_closed_form(model, toy_task, None, validation=rows, batch_size=8)
    target, probabilities = trained.measured["target"], trained.measured["probabilities"]
    assert trained.best["accuracy"] == np.mean(probabilities.argmax(axis=1) == target)
    assert trained.history == [trained.best]
