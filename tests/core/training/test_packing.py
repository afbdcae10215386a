"""Packed epochs: every token once, in an order that the seed repeats, entered anywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.task import Example
from aitk.core.training.batches import Examples
from aitk.core.training.packing import PackedPlan, epoch_size

SIZE = 8


class Joining:
    """As much of a task as a plan needs; rows are lists of numbers."""

    def __init__(self, *, packs=True):
        self.encoded, self._packs = 0, packs

    def encode(self, rows, assets):
        self.encoded += len(rows)
        return [Example({"values": np.array(row)}) for row in rows]

    def length(self, example):
        return len(example.inputs["values"])

    def packs(self, assets):
        return self._packs

    def pack(self, examples, assets, *, rng):
        joined = np.concatenate([each.inputs["values"] for each in examples])
        return [Example({"values": joined[at : at + SIZE]}) for at in range(0, len(joined), SIZE)]


def rows_of(lengths):
    ends = np.cumsum(lengths)
    return [list(range(end - length, end)) for end, length in zip(ends, lengths, strict=True)]


def plan_of(lengths, *, steps, epoch=0, task=None):
    task = task or Joining()
    examples = Examples(rows_of(lengths), task, None)
    return PackedPlan(examples, task, None, steps=steps, seed=7, epoch=epoch)


def values_of(plan):
    return [[each.inputs["values"].tolist() for each in plan[step]] for step in range(len(plan))]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(1, 150))
def test_every_token_is_seen_and_no_step_is_empty(lengths, steps):
    plan = plan_of(lengths, steps=steps)
    seen = values_of(plan)
    assert len(seen) == steps and all(seen)
    assert {value for step in seen for window in step for value in window} == set(
        range(sum(lengths))
    )
    assert [plan.size(step) for step in range(steps)] == [len(windows) for windows in seen]


def test_windows_are_seen_once_where_there_are_enough():
    seen = values_of(plan_of([20] * 400, steps=100))
    flat = [value for step in seen for window in step for value in window]
    assert sorted(flat) == list(range(8000))
    assert {len(step) for step in seen} <= {9, 10, 11}


def test_epochs_differ_and_repeat_and_can_be_entered_anywhere():
    lengths = [5, 30, 17] * 100
    first, again, other = (values_of(plan_of(lengths, steps=90, epoch=at)) for at in (0, 0, 1))
    assert first == again != other
    assert [each.inputs["values"].tolist() for each in plan_of(lengths, steps=90)[70]] == first[70]


def test_the_first_step_needs_the_rows_of_its_pool_alone():
    task = Joining()
    plan_of([8] * 6400, steps=640, task=task)[0]
    assert task.encoded == 320  # 32 of 640 steps


def test_the_size_of_an_epoch_is_estimated_from_some_rows():
    task = Joining()
    examples = Examples(rows_of([4, 12] * 2000), task, None)
    assert epoch_size(examples, task, None) == pytest.approx(4000, rel=0.05)
    assert task.encoded == 256
    assert epoch_size(examples, Joining(packs=False), None) == 4000
    assert epoch_size(Examples([], task, None), task, None) == 0
