"""Batches: every row once, lengths together, an order that the seed repeats."""

import numpy as np
import pytest
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


@pytest.mark.parametrize("batches_per_window", [1, 3])
def test_predictions_come_in_the_order_of_the_rows(toy_task, batches_per_window):
    from aitk.core.training.batches import predict_rows

    rows = [{"values": [float(n)] * (1 + n % 5)} for n in range(23)]
    outputs = predict_rows(
        iter(rows),
        toy_task,
        None,
        lambda inputs: inputs["values"].max(axis=1, keepdims=True),
        batch_size=4,
        batches_per_window=batches_per_window,
    )
    assert [float(output[0]) for output in outputs] == [float(n) for n in range(23)]


def test_prediction_reads_one_window_ahead(toy_task):
    from aitk.core.training.batches import predict_rows

    taken = []

    def rows():
        for n in range(1000):
            taken.append(n)
            yield {"values": [1.0]}

    outputs = predict_rows(
        rows(), toy_task, None, lambda inputs: inputs["values"], batch_size=2, batches_per_window=3
    )
    next(outputs)
    assert len(taken) == 6


@pytest.mark.parametrize(("one_length", "ahead"), [(True, 2), (False, 64)])
def test_rows_of_one_length_are_read_a_batch_at_a_time(toy_task, monkeypatch, one_length, ahead):
    from aitk.core.training.batches import answer_rows, measure_rows

    monkeypatch.setattr(toy_task, "one_length", one_length, raising=False)
    taken, held = [], []

    def rows():
        for n in range(100):
            taken.append(n)
            yield {"values": [float(n - 50)], "label": "plus"}

    def predict(inputs):
        held.append(len(taken))
        return np.concatenate([-inputs["values"], inputs["values"]], axis=1)

    answers = answer_rows(rows(), toy_task, None, predict, batch_size=2, top_k=1)
    assert [answer["prediction"] == "plus" for answer in answers] == [n > 50 for n in range(100)]
    assert held[0] == ahead
    taken.clear(), held.clear()
    measured = measure_rows(rows(), toy_task, None, predict, batch_size=2)
    assert (measured["probabilities"][:, 1] >= 0.5).tolist() == [n >= 50 for n in range(100)]
    assert held[0] == ahead


def test_examples_beyond_the_cache_are_encoded_again(toy_task):
    from aitk.core.contract.progress import Silent
    from aitk.core.training.batches import Examples

    rows = [{"values": [float(n)] * (n + 1), "label": "plus"} for n in range(10)]
    kept = Examples(rows, toy_task, None, reporter=Silent())
    again = Examples(rows, toy_task, None, reporter=Silent(), cache_bytes=8)
    assert (kept.lengths == np.arange(1, 11)).all()
    for index in (0, 9):
        assert (kept[index].inputs["values"] == again[index].inputs["values"]).all()
