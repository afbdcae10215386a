"""Settings chosen on training events: what is hidden, and what finds it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses import hidden as hiding
from aitk.recsys.losses.hidden import choose, hide_one


def log():
    # Users 0 and 2 have several events, user 1 one, user 3 none.
    numbers = np.array([2, 0, 3, 1, 4, 1], np.int32)
    starts = np.array([0, 3, 4, 6, 6])
    return csr_array((np.ones(6, np.float32), numbers, starts), shape=(4, 5))


def test_the_latest_event_of_each_user_is_hidden():
    hidden = hide_one(log(), times=np.array([5, 9, 7, 1, 3, 3]))
    found = dict(zip(hidden.users.tolist(), hidden.items.tolist(), strict=True))
    assert found == {0: 0, 2: 1}  # of two at the same time the later in the file
    assert hidden.events.toarray().tolist() == [
        [0, 0, 1, 1, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]


def test_without_times_the_seed_draws():
    first, again = hide_one(log(), seed=3), hide_one(log(), seed=3)
    assert first.items.tolist() == again.items.tolist()
    drawn = {tuple(sorted(hide_one(log(), seed=seed).items)) for seed in range(20)}
    assert len(drawn) > 1


def test_ndcg_ranks_among_items_that_are_not_in_the_history():
    hidden = hide_one(log(), times=np.array([5, 9, 7, 1, 3, 3]))
    order = np.argsort(hidden.users)  # user 0 looks for item 0, user 2 for item 1
    scores = np.array([[[1, 0, 9, 9, 2], [2, 1, 3, 0, 9]]], np.float32)[:, np.argsort(order)]
    # Item 0 is second of {0, 1, 4}; item 1 is third of {0, 1, 2, 3}.
    wanted = (1 / np.log2(3) + 1 / np.log2(4)) / 2
    assert hidden.ndcg(lambda histories: scores.copy()) == pytest.approx([wanted])


def test_scores_that_are_all_equal_are_no_merit():
    hidden = hide_one(csr_array(np.ones((8, 50), np.float32)[:, :40]))
    flat = hidden.ndcg(lambda histories: np.zeros((2, *histories.shape)))
    assert flat == pytest.approx([1.0, 1.0])  # one item is left: it is found
    wide = csr_array((np.arange(400).reshape(4, 100) % 50 == 0).astype(np.float32))
    assert hide_one(wide).ndcg(lambda histories: np.zeros((1, *histories.shape))) == [0.0]


@pytest.fixture
def crowd_log():
    """Users of whom each took item 0 first, then one of their own, and item 1 last."""
    users = 20
    items = np.array([[0, 2 + user, 1] for user in range(users)])
    starts = np.arange(0, 3 * users + 1, 3)
    events = csr_array(
        (np.ones(items.size, np.float32), items.ravel().astype(np.int32), starts), (users, 22)
    )
    return TrainingLog(events, times=np.tile([1, 2, 3], users))


def always(item, events):
    """A model that scores one item above all others for every history."""

    def score(histories):
        return np.tile(np.arange(events.shape[1]) == item, (histories.shape[0], 1)).astype(float)

    return score


def test_the_way_that_finds_the_latest_events_is_chosen(crowd_log):
    assert choose([5, 1, 0], crowd_log, always) == 1


def test_of_equals_the_usual_one_is_chosen(crowd_log):
    assert choose([7, 9], crowd_log, lambda way, events: always(0, events)) == 7


def test_the_hidden_events_are_not_shown_to_the_fit(crowd_log):
    shown = []

    def fit(way, events):
        shown.append(events.sum(axis=0)[1])
        return always(way, events)

    choose([5, 1], crowd_log, fit)
    assert shown == [0, 0]


def test_a_large_log_takes_the_usual_setting_at_once(crowd_log, monkeypatch):
    monkeypatch.setattr(hiding, "MOST_EVENTS", 10)
    assert choose([5, 1], crowd_log, None) == 5
