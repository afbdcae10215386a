"""How well an attacker tells the training rows of a model from others: membership inference.

The attack is that of Yeom et al. 2018, "Privacy Risk in Machine Learning", section 3.2: rows with a
small loss were trained on. Its area under the ROC curve is 0.5 where nothing leaks. Carlini et al.
2022, "Membership Inference Attacks From First Principles", ask for the true positives among few
false ones as well: an attack may be sure of a few rows only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitk.core.contract.task import Score

NORMAL_95 = 1.959964
FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True)
class Attack:
    """What a loss threshold tells of who was trained on.

    Attributes:
        auc: the probability that a training row has a smaller loss than another, ties by half.
        sure: the share of the training rows found where 1% of the others are taken for some.
        advantage: the largest difference of true and false positive rate over all thresholds
            (Yeom et al. 2018, definition 4).
    """

    auc: Score
    sure: float
    advantage: float


def attack_losses(members: np.ndarray, others: np.ndarray) -> Attack:
    """Attack by the losses of rows that were trained on, and of rows that were not.

    Args:
        members, others: one loss a row; what is not finite counts as the largest.
    """
    members, others = (np.nan_to_num(each, nan=np.inf) for each in (members, others))
    ordered_others, ordered_members = np.sort(others), np.sort(members)
    # Of each member the share of others with a larger loss, of each other that of smaller members.
    placed = 1 - _below(ordered_others, members)
    placed_others = _below(ordered_members, others)
    value = float(placed.mean())
    # DeLong et al. 1988: the variance of the area from these shares.
    spread = placed.var(ddof=1) / len(placed) + placed_others.var(ddof=1) / len(placed_others)
    half = NORMAL_95 * float(np.sqrt(spread))
    thresholds = np.unique(np.concatenate([members, others]))
    true = np.searchsorted(ordered_members, thresholds, side="right") / len(members)
    false = np.searchsorted(ordered_others, thresholds, side="right") / len(others)
    few = true[false <= FALSE_POSITIVE_RATE]
    return Attack(
        auc=Score(value, max(0.0, value - half), min(1.0, value + half), "DeLong"),
        sure=float(few.max(initial=0.0)),
        advantage=float(max(0.0, (true - false).max())),
    )


def _below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of the ordered values below each value, ties by half."""
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return (left + right) / (2 * len(ordered))
