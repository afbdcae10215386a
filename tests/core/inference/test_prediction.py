"""Outputs, predictions and measurements of rows: in their order, window by window."""

import numpy as np
import pytest

from aitk.core.inference.prediction import (
    configure,
    decode_rows,
    infer,
    measure_and_decode_rows,
    measure_rows,
    predict_rows,
)
from tests.core.toy_task import ToyTask


def sum_logits(inputs):
    """Logits whose sign is that of the sum: (rows, 2)."""
    sums = inputs["values"].sum(axis=1)
    return np.stack([-sums, sums], axis=1)


@pytest.mark.parametrize("batches_per_window", [1, 3])
def test_predictions_come_in_the_order_of_the_rows(toy_task, batches_per_window):
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


@pytest.mark.parametrize(("fixed_length", "ahead"), [(True, 2), (False, 64)])
def test_rows_of_a_fixed_length_are_read_a_batch_at_a_time(
    toy_task, monkeypatch, fixed_length, ahead
):
    monkeypatch.setattr(toy_task, "fixed_length", fixed_length, raising=False)
    taken, held = [], []

    def rows():
        for n in range(100):
            taken.append(n)
            yield {"values": [float(n - 50)], "label": "plus"}

    def predict(inputs):
        held.append(len(taken))
        return np.concatenate([-inputs["values"], inputs["values"]], axis=1)

    predictions = decode_rows(rows(), toy_task, None, predict, batch_size=2, top_k=1)
    assert [each["prediction"] == "plus" for each in predictions] == [n > 50 for n in range(100)]
    assert held[0] == ahead
    taken.clear(), held.clear()
    measured = measure_rows(rows(), toy_task, None, predict, batch_size=2)
    assert (measured["probabilities"][:, 1] >= 0.5).tolist() == [n >= 50 for n in range(100)]
    assert held[0] == ahead


def test_a_row_is_predicted_once_to_be_measured_and_decoded(toy_task, toy_rows):
    rows, calls = toy_rows(21), []

    def predict(inputs):
        calls.append(len(inputs["values"]))
        return sum_logits(inputs)

    measured, predictions = measure_and_decode_rows(
        iter(rows), toy_task, None, predict, batch_size=4
    )
    assert sum(calls) == 21
    assert [each["prediction"] for each in predictions] == [row["label"] for row in rows]
    alone = measure_rows(rows, toy_task, None, sum_logits, batch_size=4)
    assert measured.keys() == alone.keys()
    for name in alone:
        np.testing.assert_array_equal(measured[name], alone[name])


class Shifted(ToyTask):
    """Adds its options, times ``top_k``, to the second logit; its options are its assets."""

    def configure(self, assets, options, *, open_scorer):
        return options

    def infer(self, batch, predict, assets, *, top_k=1, options=None):
        return predict(batch.inputs) + np.array([0, options or 0]) * top_k


def test_a_generative_task_computes_its_outputs_itself(toy_task):
    batch = toy_task.collate(toy_task.encode([{"values": [3.0]}], None), None)
    plain = infer(toy_task, batch, sum_logits, None, top_k=2, options=5)
    own = infer(Shifted(), batch, sum_logits, None, top_k=2, options=5)
    assert (plain.tolist(), own.tolist()) == ([[-3, 3]], [[-3, 13]])


def test_only_a_configurable_task_changes_its_assets(toy_task):
    assert configure(toy_task, "assets", 5, open_scorer=None) == "assets"
    assert configure(Shifted(), "assets", 5, open_scorer=None) == 5


def test_options_reach_the_outputs_that_are_decoded_and_measured():
    rows = [{"values": [-1.0], "label": "minus"}]
    (plain,) = decode_rows(rows, Shifted(), None, sum_logits, batch_size=1, top_k=1)
    (given,) = decode_rows(rows, Shifted(), None, sum_logits, batch_size=1, top_k=1, options=9)
    assert (plain["prediction"], given["prediction"]) == ("minus", "plus")
    measured = measure_rows(rows, Shifted(), None, sum_logits, batch_size=1, options=9)
    assert measured["probabilities"][0, 1] > 0.5
