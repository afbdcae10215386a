"""Which points are worth choosing among."""

import numpy as np

from aitk.core.metrics.pareto import knee_point, pareto_front, within


def test_the_front_holds_what_nothing_beats_in_everything():
    costs = np.array([[0, 9], [1, 3], [2, 3], [3, 1], [1, 3], [9, 9]], float)
    assert pareto_front(costs).tolist() == [0, 1, 3]


def test_no_point_of_a_front_beats_another():
    costs = np.random.default_rng(0).random((60, 3))
    front = costs[pareto_front(costs)]
    for point in costs:
        assert (front <= point).all(axis=1).any()
    assert len(pareto_front(front)) == len(front)


def test_the_knee_is_nearest_to_the_best_of_everything_on_common_scales():
    costs = np.array([[0, 1000], [1, 100], [10, 0]], float)
    assert knee_point(costs) == 1
    assert knee_point(costs * [1e6, 1e-6]) == 1
    assert knee_point(np.array([[1.0, 2.0]])) == 0


def test_limits_are_kept_and_none_is_none():
    costs = np.array([[0, 5], [2, 3]], float)
    assert within(costs, [None, 4]).tolist() == [False, True]
    assert within(costs, [None, None]).all()
