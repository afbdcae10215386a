"""Hiding a training event of each user, to learn a setting from."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.fits.hidden import hide_one


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
