"""Batches: every row once, lengths together, an order that the seed repeats, nothing too early."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.task import Example
from aitk.core.training.batches import EpochPlan, Examples, RepeatedRows, take_rows


class Lengths:
    """As much of a task as a plan needs; rows are numbers, their own lengths."""

    def __init__(self):
        self.encoded = []

    def encode(self, rows, assets):
        self.encoded += rows
        return [Example({"values": np.ones(row)}) for row in rows]

    def length(self, example):
        return len(example.inputs["values"])


def plan_of(lengths, batch_size, *, epoch=0, **given):
    return EpochPlan(Examples(lengths, Lengths(), None), batch_size, seed=7, epoch=epoch, **given)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 40), st.booleans())
def test_every_row_is_in_one_batch(lengths, batch_size, sort):
    plan = plan_of(lengths, batch_size, sort=sort)
    batches = list(plan)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    assert [plan.size(step) for step in range(len(plan))] == [len(batch) for batch in batches]


def test_rows_of_one_length_meet():
    lengths = np.array([5, 50] * 64)
    assert all(len(set(lengths[batch])) == 1 for batch in plan_of(lengths.tolist(), 8))


def test_epochs_differ_and_repeat():
    first, again, other = (
        np.concatenate(list(plan_of([1] * 100, 10, epoch=epoch))) for epoch in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_a_plan_can_be_entered_anywhere():
    lengths = np.random.default_rng(0).integers(1, 50, 400).tolist()
    whole = list(plan_of(lengths, 5))
    assert (plan_of(lengths, 5)[63] == whole[63]).all()


def test_the_first_batch_needs_the_rows_of_its_window_alone():
    task = Lengths()
    plan = EpochPlan(Examples([3] * 1000, task, None), 2, seed=0, epoch=0)
    assert len(plan[0]) == 2
    assert len(task.encoded) == 2 * plan.batches_per_window < 1000


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_the_first_epoch_encodes_each_row_once(cache_bytes):
    task = Lengths()
    examples = Examples([3, 1, 2] * 200, task, None, cache_bytes=cache_bytes)
    for epoch in range(2):
        for batch in EpochPlan(examples, 4, seed=0, epoch=epoch):
            taken = examples.take(batch)
            assert [task.length(each) for each in taken] == [[3, 1, 2][row % 3] for row in batch]
        if epoch == 0 or cache_bytes:
            assert len(task.encoded) == 600


def test_examples_beyond_the_cache_are_encoded_again(toy_task):
    rows = [{"values": [float(n)] * (n + 1), "label": "plus"} for n in range(10)]
    kept = Examples(rows, toy_task, None)
    again = Examples(rows, toy_task, None, cache_bytes=8)
    assert (kept.lengths_of(np.arange(10)) == np.arange(1, 11)).all()
    for index in (0, 9, -1):
        assert (kept[index].inputs["values"] == again[index].inputs["values"]).all()


def test_repeated_rows_are_taken_by_their_places():
    rows = RepeatedRows([{"n": 0}, {"n": 1}, {"n": 2}], np.array([0, 1, 1, 2, 2]))
    assert len(rows) == 5
    assert [row["n"] for row in rows] == [0, 1, 1, 2, 2]
    assert [row["n"] for row in rows[1:4]] == [1, 1, 2]
    assert [row["n"] for row in take_rows(rows, [4, 0])] == [2, 0]
