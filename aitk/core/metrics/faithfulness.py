"""Whether an attribution names the parts that a model looks at, next to random ones.

Deletion and insertion (Petsiuk et al. 2018, section 4.1) over the parts of a row: the value of the
explained answer while parts go, or come, in the order of their weights. Comprehensiveness (DeYoung
et al. 2020, section 4) is how far it falls without the weightiest fifth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

DELETED_SHARE = 0.2
STEPS = 8  # of a curve
RANDOM_DRAWS = 10

#: Maps which parts are kept, (parts,) bool each, to the value of the explained answer, (masks,).
ValueOf = Callable[[Sequence[np.ndarray]], np.ndarray]


def part_faithfulness(
    weights: np.ndarray, value_of: ValueOf, *, seed: int = 0
) -> dict[str, float] | None:
    """Check the weights of parts by taking these out and putting them in.

    Args:
        weights: (parts,).

    Returns:
        ``named`` and ``random``: how far the value falls without the ``deleted`` weightiest parts,
        and without as many random ones; ``deletion`` (the less, the better) and ``insertion`` (the
        more, the better): areas under the curves, with those of random orders. None for one part.
    """
    count = len(weights)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    orders = [np.argsort(-weights, kind="stable")]
    orders += [rng.permutation(count) for _ in range(RANDOM_DRAWS)]
    deleted = math.ceil(DELETED_SHARE * count)
    places = np.unique(np.linspace(0, count, min(STEPS, count) + 1).round().astype(int))
    masks = []
    for order in orders:
        masks.append(_kept(order[deleted:], count))
        masks += [_kept(order[place:], count) for place in places]
        masks += [_kept(order[:place], count) for place in places]
    values = np.asarray(value_of(masks), float).reshape(len(orders), 1 + 2 * len(places))
    whole = values[0, 1]
    shares = places / count
    deletion = np.trapezoid(values[:, 1 : 1 + len(places)], shares, axis=1)
    insertion = np.trapezoid(values[:, 1 + len(places) :], shares, axis=1)
    found = {
        "named": whole - values[0, 0],
        "random": whole - values[1:, 0].mean(),
        "deletion": deletion[0],
        "deletion_random": deletion[1:].mean(),
        "insertion": insertion[0],
        "insertion_random": insertion[1:].mean(),
    }
    return {"deleted": deleted} | {name: round(float(value), 6) for name, value in found.items()}


def _kept(indices: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[indices] = True
    return mask
