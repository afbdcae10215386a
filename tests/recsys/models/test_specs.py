"""Specifications of recommenders: how small logs change defaults, and what a new model needs."""

from dataclasses import dataclass

import numpy as np
import pytest

from aitk.core.contract.options import option
from aitk.core.contract.progress import Silent
from aitk.recsys.models.specs import ClosedFormRecommender
from aitk.recsys.tasks.recommend import Recommend
from aitk.recsys.tasks.settings import ClosedFormSettings

SASREC = Recommend.models["sasrec"]
DECLARED = {"dropout": 0.2, "start_scale": 1.0}


def of_events(count):
    return {"splits": {"train": {"events": count}}}


@pytest.mark.parametrize("events", [90_000, 1_000_000])
def test_a_large_log_keeps_the_declared_defaults(events):
    assert SASREC.default_settings(of_events(events)) == DECLARED
    assert SASREC.default_learning_rate(of_events(events)) == 0.002


@pytest.mark.parametrize("events", [0, 300, 35_000])
def test_a_small_log_is_learned_slowly_and_with_more_dropout(events):
    assert SASREC.default_settings(of_events(events)) == {"dropout": 0.5, "start_scale": 0.1}
    assert SASREC.default_learning_rate(of_events(events)) == 0.0005


def test_between_them_the_defaults_follow_the_logarithm_of_the_events():
    middle = of_events(round((35_000 * 90_000) ** 0.5))
    assert SASREC.default_settings(middle) == {"dropout": 0.35, "start_scale": 0.316}
    assert SASREC.default_learning_rate(middle) == 0.001


def test_a_log_of_unknown_size_keeps_the_declared_defaults():
    assert SASREC.default_settings({}) == DECLARED


@dataclass(frozen=True)
class LatestSettings(ClosedFormSettings):
    """Items by the time of their latest event."""

    sign: float = option(1.0, "1 for the latest first, -1 for the earliest")


def fit_latest(settings, log):
    """A model outside of the package: one Keras layer over the history."""
    from aitk.recsys.models.closed_form.popular import SameForAll
    from aitk.recsys.models.closed_form.scorer import make_scorer

    times = np.zeros(log.items)
    np.maximum.at(times, log.events.indices, log.times)
    layer = SameForAll(log.items, name="backbone", dtype="float32")
    model = make_scorer(layer, "history")
    layer.set_weights([settings.sign * times])
    return model


def test_a_closed_form_model_from_outside_is_settings_and_a_function(make_assets):
    spec = ClosedFormRecommender(LatestSettings, fit_latest)
    rows = [
        {"items": [0, 1], "ratings": [1.0, 1.0], "times": [3, 9]},
        {"items": [0], "ratings": [1.0], "times": [5]},
    ]
    model = spec.fit(LatestSettings(), make_assets(), rows, seed=0, reporter=Silent())
    scores = np.asarray(model({"history": np.array([[1]], np.int32)}))
    assert scores.tolist() == [[5, 9, 0, 0, 0]]
    assert spec.output_sizes(make_assets()) == {"outputs": 5}
    assert spec.output_sizes(make_assets(batches="ratings")) == {}
