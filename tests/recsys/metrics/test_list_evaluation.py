"""Evaluation of lists: full ranking of unseen items, and sampled metrics."""

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.recsys.features.batching import collate_rows, encode_row
from aitk.recsys.metrics.list_evaluation import evaluate_lists, measure_lists

ROWS = [
    {"user": "ann", "items": [0, 1], "ratings": [1.0, 1.0], "targets": [2]},
    {"user": "bob", "items": [2], "ratings": [1.0], "targets": [4, 3]},
    {"user": "eve", "items": [], "ratings": [], "targets": [2]},
]
SCORES = np.array([[9, 8, 5, 7, 6], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]], np.float32)


def measured(assets, rows=ROWS, scores=SCORES):
    batch = collate_rows([encode_row(row, assets) for row in rows], assets)
    return measure_lists(batch, scores, assets)


def test_seen_items_take_no_place(make_assets):
    kept = measured(make_assets())
    assert kept["numbers"][0, :4].tolist() == [3, 4, 2, -1]
    assert kept["hits"][0, :3].tolist() == [False, False, True]
    assert kept["targets"].tolist() == [1, 2, 1]
    assert kept["lengths"].tolist() == [2, 1, 0]


def test_a_stranger_is_evaluated_by_what_predict_would_say(make_assets):
    kept = measured(make_assets())  # counts are a 3, b 1, c 2, d 0, e 1
    assert kept["numbers"][2, :5].tolist() == [0, 2, 1, 4, 3]


def test_metrics_lists_and_groups(make_assets):
    evaluation = evaluate_lists(measured(make_assets()), make_assets(), resamples=0, seed=0)
    names = list(evaluation.metrics)
    assert names[0] == "ndcg@10"
    assert evaluation.metrics["recall@1"].value == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert evaluation.metrics["coverage@10"].value == 1.0
    assert names[-1] == "diversity@10"
    assert evaluation.details["protocol"] == "leave-one-out"
    assert evaluation.per_row.tolist() == pytest.approx([1 / 2, 1, 1 / np.log2(3)])


def test_rows_without_a_target_are_reported(make_assets):
    rows = [*ROWS[:2], ROWS[2] | {"targets": []}]
    assets = make_assets(sampled_negatives=1)
    evaluation = evaluate_lists(measured(assets, rows), assets, resamples=0, seed=0)
    assert evaluation.details["without_target"] == 1
    with pytest.raises(DataError, match="no user has a held-out item"):
        evaluate_lists(measured(assets, rows[2:], SCORES[2:]), assets, resamples=0, seed=0)


def test_sampled_figures_come_last_and_only_where_requested(make_assets):
    assets = make_assets(sampled_negatives=3)
    kept = measured(assets)
    # So few items that all others are drawn: c is third of ann's three, e first of bob's four.
    assert kept["place"].tolist() == [3, 1, 2]
    metrics = evaluate_lists(kept, assets, resamples=20, seed=0).metrics
    assert list(metrics)[-2:] == ["sampled_ndcg@10", "sampled_hit_rate@10"]
    assert metrics["sampled_ndcg@10"].value == pytest.approx((1 / 2 + 1 + 1 / np.log2(3)) / 3)
    assert metrics["sampled_hit_rate@10"].value == 1
    assert metrics["sampled_hit_rate@10"].low < 1  # a share of three rows
    assert "place" not in measured(make_assets())


def test_every_model_meets_the_same_sampled_items_in_batches_of_any_size(make_assets):
    assets = make_assets(sampled_negatives=1)
    rows, scores = ROWS * 4, np.random.default_rng(0).random((12, 5)).astype(np.float32)
    together = measured(assets, rows, scores)["place"]
    alone = [
        measured(assets, [row], own[None])["place"][0]
        for row, own in zip(rows, scores, strict=True)
    ]
    assert together.tolist() == alone
    assert set(together.tolist()) == {1, 2}


def test_an_item_that_training_did_not_know_is_never_found(make_assets):
    assets = make_assets(sampled_negatives=3)
    kept = measured(assets, [ROWS[0] | {"targets": [8]}], SCORES[:1])
    assert kept["place"].tolist() == [4]
    assert not kept["hits"].any()
