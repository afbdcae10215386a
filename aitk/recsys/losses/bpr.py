"""BPR by stochastic gradient descent on large batches, in NumPy (Rendle et al. 2009)."""

from __future__ import annotations

from typing import Any

import numpy as np

from aitk.core.runtime import interrupts

START = 0.1  # standard deviation of the first vectors, times factors ** -0.5
_TINY = np.float32(1e-8)


def bpr(
    events: Any,
    *,
    factors: int,
    l2: float,
    learning_rate: float,
    epochs: int,
    batch_size: int,
    seed: int,
    negatives: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors of users and items, and biases of items, that put a user's items before others.

    Each epoch takes every event once, with an item drawn at random that the user does not have,
    or of several the one with the highest score (dynamic negative sampling, Zhang et al. 2013).
    The gradients of a batch are summed for each vector by a sparse product, and the steps are
    Adagrad's (Duchi et al. 2011): frequent items take smaller ones.

    Args:
        events: scipy CSR array (users, items).
        factors: size of a vector.
        l2: penalty of the vectors in use, for each event.
        learning_rate: of Adagrad.
        epochs: passes over the events.
        batch_size: events of a step.
        seed: of the first vectors and of all draws.
        negatives: items drawn for each event.

    Returns:
        Users (users, factors), items (items, factors) and biases (items,), float32.
    """
    rng = np.random.default_rng(seed)
    users, items = events.shape
    owner = np.repeat(np.arange(users, dtype=np.int32), np.diff(events.indptr))
    # One sorted array of all pairs tells whether a user has an item.
    pairs = np.unique(owner.astype(np.int64) * items + events.indices)
    # An item's bias is its last number, and the user's last number is 1.
    of_users = rng.normal(0, START * factors**-0.5, (users, factors + 1)).astype(np.float32)
    of_items = rng.normal(0, START * factors**-0.5, (items, factors + 1)).astype(np.float32)
    of_users[:, -1], of_items[:, -1] = 1, 0
    squares = np.zeros_like(of_users), np.zeros_like(of_items)
    for _ in range(epochs):
        order = rng.permutation(len(owner))
        for start in range(0, len(order), batch_size):
            interrupts.check()
            chosen = order[start : start + batch_size]
            who, right = owner[chosen], events.indices[chosen]
            wrong = _unseen(np.repeat(who, negatives), pairs, items, rng)
            user, ahead, behind = of_users[who], of_items[right], of_items[wrong]
            if negatives > 1:
                behind = behind.reshape(len(who), negatives, -1)
                hardest = np.einsum("bf,bnf->bn", user, behind).argmax(axis=1)
                rows = np.arange(len(who))
                wrong = wrong.reshape(len(who), negatives)[rows, hardest]
                behind = behind[rows, hardest]
            apart = ahead - behind
            pull = 1 / (1 + np.exp(np.einsum("bf,bf->b", user, apart)))[:, None]
            to_user = pull * apart - l2 * user
            to_user[:, -1] = 0
            push = pull * user
            _step(of_users, squares[0], who, to_user, learning_rate)
            _step(
                of_items,
                squares[1],
                np.concatenate([right, wrong]),
                np.concatenate([push - l2 * ahead, -push - l2 * behind]),
                learning_rate,
            )
    return of_users[:, :-1].copy(), of_items[:, :-1].copy(), of_items[:, -1].copy()


def _unseen(who: np.ndarray, pairs: np.ndarray, items: int, rng: np.random.Generator) -> np.ndarray:
    """An item for each user that the user does not have, if one is found in three draws."""
    drawn = rng.integers(0, items, len(who), dtype=np.int32)
    for _ in range(2):
        wanted = who.astype(np.int64) * items + drawn
        at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        taken = np.flatnonzero(pairs[at] == wanted)
        if not len(taken):
            break
        drawn[taken] = rng.integers(0, items, len(taken), dtype=np.int32)
    return drawn


def _step(
    table: np.ndarray, squares: np.ndarray, rows: np.ndarray, gradients: np.ndarray, rate: float
) -> None:
    """Adagrad of the rows in use, each with the sum of its gradients."""
    from scipy.sparse import csr_array

    used, places = np.unique(rows, return_inverse=True)
    ones = np.ones(len(rows), np.float32)
    which = csr_array((ones, (places, np.arange(len(rows)))), shape=(len(used), len(rows)))
    summed = which @ gradients  # (used, factors + 1)
    squares[used] += summed * summed
    table[used] += rate * summed / (np.sqrt(squares[used]) + _TINY)
