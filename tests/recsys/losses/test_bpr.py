"""BPR by gradient descent: it ranks what the like-minded like, and repeats exactly."""

import numpy as np
from scipy.sparse import csr_array

from aitk.recsys.losses.bpr import bpr

HOW = {"factors": 8, "l2": 0.01, "learning_rate": 0.15, "batch_size": 32, "seed": 0}


def two_tastes():
    """Twenty users like items 0 to 7, twenty others 8 to 15; each lacks one item of their own."""
    liked = np.zeros((40, 16), np.float32)
    for user in range(40):
        own = np.arange(8) + 8 * (user % 2)
        liked[user, np.delete(own, user % 8)] = 1
    return csr_array(liked)


def test_the_missing_item_of_a_users_taste_comes_before_all_others():
    events = two_tastes()
    users, items, biases = bpr(events, epochs=60, **HOW)
    scores = users @ items.T + biases
    scores[events.toarray() > 0] = -np.inf
    assert (scores.argmax(axis=1) // 8).tolist() == [user % 2 for user in range(40)]


def test_without_tastes_popular_items_come_first():
    rng = np.random.default_rng(0)
    events = csr_array((rng.random((60, 10)) < np.linspace(0.9, 0.1, 10)).astype(np.float32))
    _, _, biases = bpr(events, epochs=30, **HOW | {"factors": 1})
    assert np.corrcoef(biases, events.sum(axis=0))[0, 1] > 0.9


def test_of_several_items_the_one_with_the_highest_score_counts():
    events = two_tastes()
    users, items, biases = bpr(events, epochs=30, negatives=4, **HOW)
    scores = users @ items.T + biases
    scores[events.toarray() > 0] = -np.inf
    assert (scores.argmax(axis=1) // 8).tolist() == [user % 2 for user in range(40)]


def test_equal_seeds_give_equal_factors():
    one, other = (bpr(two_tastes(), epochs=2, **HOW) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_vectors_stay_finite_where_a_user_has_everything():
    users, items, biases = bpr(csr_array(np.ones((3, 4), np.float32)), epochs=5, **HOW)
    assert all(np.isfinite(each).all() for each in (users, items, biases))
