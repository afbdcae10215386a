"""Matrix factorisation of implicit feedback by alternating least squares (Hu et al. 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.recsys.losses.blocks import map_blocks

#: Conjugate gradient steps per half-iteration, as in Takacs et al. 2011.
STEPS = 3
#: Steps that compute a new user's factors to float32 precision.
FOLD_IN_STEPS = 30
_BLOCK_CELLS = 500_000
_TINY = np.float32(1e-20)


def als(
    events: Any,
    *,
    factors: int,
    alpha: float,
    l2: float,
    iterations: int,
    seed: int,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors whose product is near 1 for events and near 0 elsewhere.

    They minimise sum_ui c_ui (p_ui - x_u y_i)^2 + l2 (|x|^2 + |y|^2), where p is 1 for an event and
    else 0, with confidence c = 1 + alpha * r (Hu et al. 2008, section 4). Each half-iteration
    refines the factors by a few steps of conjugate gradient (Takacs et al. 2011, section 3.2); user
    factors are solved to convergence at the end.

    Args:
        events: scipy CSR array (users, items) float32, values r above 0.
        factors: size of a vector.
        alpha: weight of events relative to non-events.
        l2: ridge penalty, above 0.
        iterations: iterations over users and items.
        seed: seed of the initial item factors.
        steps: conjugate gradient steps per half-iteration.

    Returns:
        Users (users, factors) and items (items, factors), float32; zero without events.
    """
    user_blocks, item_blocks = _blocks(events, factors), _blocks(events.T.tocsr(), factors)
    rng = np.random.default_rng(seed)
    users = np.zeros((events.shape[0], factors), np.float32)
    items = rng.normal(0, 0.01, (events.shape[1], factors)).astype(np.float32)
    for _ in range(iterations):
        users = _improved(users, items, user_blocks, alpha=alpha, l2=l2, steps=steps)
        items = _improved(items, users, item_blocks, alpha=alpha, l2=l2, steps=steps)
    return fold_in(events, items, alpha=alpha, l2=l2), items


def fold_in(events: Any, items: np.ndarray, *, alpha: float, l2: float) -> np.ndarray:
    """The optimal user factors for given item factors (Hu et al. 2008, equation 4).

    Args:
        events: scipy CSR array (users, items) float32.
        items: (items, factors) float32.
        alpha: as in ``als``.
        l2: as in ``als``.

    Returns:
        (users, factors) float32.
    """
    users = np.zeros((events.shape[0], items.shape[1]), np.float32)
    blocks = _blocks(events, items.shape[1])
    return _improved(users, items, blocks, alpha=alpha, l2=l2, steps=FOLD_IN_STEPS)


@dataclass(frozen=True)
class _Block:
    """Rows of similar length, padded: padding refers to the row after the last."""

    rows: np.ndarray  # (rows,)
    columns: np.ndarray  # (rows, longest)
    values: np.ndarray  # (rows, longest), 0 where padded


def _blocks(matrix: Any, factors: int) -> list[_Block]:
    """Group the nonempty rows into blocks, longest first."""
    lengths = np.diff(matrix.indptr)
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    blocks, start = [], 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = order[start : start + max(1, _BLOCK_CELLS // (longest * factors))]
        inside = np.arange(longest) < lengths[rows, None]
        places = (matrix.indptr[rows, None] + np.arange(longest))[inside]
        columns = np.full(inside.shape, matrix.shape[1], np.int32)
        values = np.zeros(inside.shape, np.float32)
        columns[inside], values[inside] = matrix.indices[places], matrix.data[places]
        blocks.append(_Block(rows, columns, values))
        start += len(rows)
    return blocks


def _improved(
    vectors: np.ndarray,
    others: np.ndarray,
    blocks: Sequence[_Block],
    *,
    alpha: float,
    l2: float,
    steps: int,
) -> np.ndarray:
    """One half-iteration: refined vectors, given those of the other side."""
    gram = others.T @ others + np.float32(l2) * np.eye(others.shape[1], dtype=np.float32)
    padded = np.concatenate([others, np.zeros_like(others[:1])])
    better = np.zeros_like(vectors)

    def work(part: slice) -> None:
        for block in blocks[part]:
            better[block.rows] = _conjugate_gradient(
                vectors[block.rows],
                padded[block.columns],
                np.float32(alpha) * block.values,
                gram,
                steps=steps,
            )

    map_blocks(work, len(blocks), size=4)
    return better


def _conjugate_gradient(
    x: np.ndarray, y: np.ndarray, extra: np.ndarray, gram: np.ndarray, *, steps: int
) -> np.ndarray:
    """Solve (gram + sum_j extra_j y_j y_j^T) x = sum_j (1 + extra_j) y_j for each row.

    x: (rows, factors), starting point; y: (rows, length, factors), zero-padded; extra: (rows,
    length), confidence above that of non-events.
    """

    def product(vectors: np.ndarray) -> np.ndarray:
        along = np.matmul(y, vectors[:, :, None])[:, :, 0] * extra  # (rows, length)
        return vectors @ gram + np.matmul(along[:, None, :], y)[:, 0]

    residual = np.matmul((1 + extra)[:, None, :], y)[:, 0] - product(x)
    direction, size = residual, _squared(residual)
    for _ in range(steps):
        moved = product(direction)
        step = size / np.maximum(np.einsum("rf,rf->r", direction, moved)[:, None], _TINY)
        x, residual = x + step * direction, residual - step * moved
        size, before = _squared(residual), size
        direction = residual + size / np.maximum(before, _TINY) * direction
    return x


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("rf,rf->r", vectors, vectors)[:, None]
