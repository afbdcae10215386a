"""Parts that matter are told from random ones by taking them out, and putting them in."""

import numpy as np
import pytest

from aitk.core.metrics.faithfulness import part_faithfulness

TRUE = np.array([0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def value_of(masks):
    return np.array([TRUE[mask].sum() for mask in masks])


def test_right_weights_fall_faster_than_random_ones_and_rise_faster():
    found = part_faithfulness(TRUE, value_of)
    assert found["deleted"] == 2 and found["named"] == pytest.approx(0.8)
    assert found["named"] > found["random"]
    assert found["deletion"] < found["deletion_random"]
    assert found["insertion"] > found["insertion_random"]
    # Of a sum, what is not deleted is inserted: the areas of one order add up to the whole.
    assert found["deletion"] + found["insertion"] == pytest.approx(1.0)


def test_wrong_weights_are_worse_than_random_ones():
    found = part_faithfulness(-TRUE, value_of)
    assert found["named"] < found["random"] and found["deletion"] > found["deletion_random"]


def test_one_part_has_nothing_to_compare_with():
    assert part_faithfulness(np.ones(1), value_of) is None
