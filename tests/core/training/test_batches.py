"""Batches: every row once, lengths together, an order that the seed repeats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.training.batches import epoch_rng, plan_epoch


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 40))
def test_every_row_is_in_one_batch(lengths, batch_size):
    plan = plan_epoch(np.array(lengths), batch_size, rng=epoch_rng(0, 0))
    rows = np.concatenate(plan)
    assert sorted(rows) == list(range(len(lengths)))
    assert sum(len(batch) < batch_size for batch in plan) <= 1


def test_rows_of_one_length_meet():
    lengths = np.array([5, 50] * 64)
    plan = plan_epoch(lengths, 8, rng=epoch_rng(0, 0))
    assert all(len(set(lengths[batch])) == 1 for batch in plan)


def test_epochs_differ_and_repeat():
    lengths = np.ones(100, int)
    first, again, other = (
        np.concatenate(plan_epoch(lengths, 10, rng=epoch_rng(7, epoch))) for epoch in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_examples_beyond_the_cache_are_encoded_again(toy_task):
    from aitk.core.contract.progress import Silent
    from aitk.core.training.batches import Examples

    rows = [{"values": [float(n)] * (n + 1), "label": "plus"} for n in range(10)]
    kept = Examples(rows, toy_task, None, reporter=Silent())
    again = Examples(rows, toy_task, None, reporter=Silent(), cache_bytes=8)
    assert (kept.lengths == np.arange(1, 11)).all()
    for index in (0, 9):
        assert (kept[index].inputs["values"] == again[index].inputs["values"]).all()
