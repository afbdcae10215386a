"""The table that compares a run with a smaller one."""

from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.metrics.comparison import largest_difference


class Lists:
    """A task whose models give scores, and lists ranked by them."""

    ranked_outputs = frozenset({"lists"})

    def encode(self, rows, assets):
        return rows

    def collate(self, examples, assets):
        return SimpleNamespace(inputs=examples)


def side(**outputs):
    return SimpleNamespace(assets=None, predictor=lambda rows: outputs)


def test_ranked_lists_are_not_compared_by_position():
    old = side(scores=np.array([0.5, -np.inf]), lists=np.array([1.0, 300.0]))
    new = side(scores=np.array([0.25, -np.inf]), lists=np.array([300.0, 1.0]))
    assert largest_difference(old, new, Lists(), [0]) == pytest.approx(0.25)


def test_without_another_output_nothing_is_compared():
    one = side(lists=np.array([1.0, 300.0]))
    assert largest_difference(one, one, Lists(), [0]) is None


def test_outputs_of_other_shapes_are_not_compared():
    assert largest_difference(side(a=np.ones(2)), side(a=np.ones(3)), Lists(), [0]) is None
