"""Settings that nobody gave are those that find hidden training events best."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.fits import choosing
from aitk.recsys.fits.choosing import choose
from aitk.recsys.fits.log import TrainingLog


@pytest.fixture
def log():
    """Users of whom each took item 0 first, then one of their own, and item 1 last."""
    users = 20
    items = np.array([[0, 2 + user, 1] for user in range(users)])
    starts = np.arange(0, 3 * users + 1, 3)
    events = csr_array(
        (np.ones(items.size, np.float32), items.ravel().astype(np.int32), starts), (users, 22)
    )
    return TrainingLog(events, times=np.tile([1, 2, 3], users))


def always(item, events):
    """A model that scores one item above all others, whatever the history."""

    def score(histories):
        return np.tile(np.arange(events.shape[1]) == item, (histories.shape[0], 1)).astype(float)

    return score


def test_the_way_that_finds_the_latest_events_is_chosen(log):
    assert choose([5, 1, 0], log, always) == 1


def test_of_equals_the_usual_one_is_chosen(log):
    assert choose([7, 9], log, lambda way, events: always(0, events)) == 7


def test_the_hidden_events_are_not_shown_to_the_fit(log):
    shown = []

    def fit(way, events):
        shown.append(events.sum(axis=0)[1])
        return always(way, events)

    choose([5, 1], log, fit)
    assert shown == [0, 0]


def test_a_large_log_takes_the_usual_setting_at_once(log, monkeypatch):
    monkeypatch.setattr(choosing, "MOST_EVENTS", 10)
    assert choose([5, 1], log, None) == 5
