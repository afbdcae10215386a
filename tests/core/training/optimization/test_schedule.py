"""The learning rate over a training."""

import pytest

from aitk.core.training.optimization.schedule import learning_rate_at


def rates(schedule, warmup=0.2, total=10):
    return [
        learning_rate_at(step, total=total, peak=1.0, warmup=warmup, schedule=schedule)
        for step in range(total)
    ]


def test_linear_rises_then_falls():
    values = rates("linear")
    assert values[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert values[-1] == pytest.approx(1 / 8)
    assert values[2:] == sorted(values[2:], reverse=True)


def test_constant_stays_at_the_peak():
    assert rates("constant", warmup=0) == [1.0] * 10


def test_cosine_is_half_way_down_in_the_middle():
    assert rates("cosine", warmup=0)[5] == pytest.approx(0.5)


def test_warm_up_of_everything_never_divides_by_zero():
    assert rates("linear", warmup=1.0)[-1] < 1.0
