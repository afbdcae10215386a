"""Classification metrics, against scikit-learn and plain loops."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.metrics.classification import (
    UNSEEN,
    decode_classes,
    explained_class,
    macro_auc,
    score_classification,
    softmax,
)
from aitk.core.metrics.statistics import bootstrap_scores


def draw(seed, *, rows=60, classes=4, unseen=False, ties=False):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes) * 0.5, size=rows)
    if ties:
        probabilities = np.round(probabilities * 4) + 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    targets = rng.integers(-1 if unseen else 0, classes, size=rows)
    return targets, probabilities, [f"c{index}" for index in range(classes)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 40),
    classes=st.integers(2, 8),
    unseen=st.booleans(),
    ties=st.booleans(),
)
def test_equals_scikit_learn(seed, rows, classes, unseen, ties):
    targets, probabilities, labels = draw(
        seed, rows=rows, classes=classes, unseen=unseen, ties=ties
    )
    scores = score_classification(targets, probabilities, labels).metrics
    predictions = probabilities.argmax(axis=1)
    assert next(iter(scores)) == "accuracy"
    assert scores["accuracy"].value == pytest.approx(
        sklearn_metrics.accuracy_score(targets, predictions), abs=1e-12
    )
    for average in ("macro", "micro", "weighted"):
        expected = sklearn_metrics.precision_recall_fscore_support(
            targets, predictions, average=average, zero_division=0.0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert scores[f"{average}_{name}"].value == pytest.approx(value, abs=1e-12)
    seen = targets >= 0
    if seen.any():
        expected = sklearn_metrics.log_loss(
            targets[seen], probabilities[seen], labels=range(classes)
        )
        assert scores["log_loss"].value == pytest.approx(expected, abs=1e-12)
    else:
        assert "log_loss" not in scores


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 40),
    classes=st.integers(2, 6),
    ties=st.booleans(),
)
def test_roc_auc_averages_the_classes_that_have_both_sides(seed, rows, classes, ties):
    targets, probabilities, labels = draw(seed, rows=rows, classes=classes, ties=ties)
    columns = [1] if classes == 2 else range(classes)
    areas = [
        sklearn_metrics.roc_auc_score(targets == index, probabilities[:, index])
        for index in columns
        if 0 < (targets == index).sum() < rows
    ]
    scores = score_classification(targets, probabilities, labels).metrics
    if areas:
        assert scores["roc_auc"].value == pytest.approx(np.mean(areas), abs=1e-12)
    else:
        assert "roc_auc" not in scores


def test_calibration_error_is_the_gap_in_each_bin():
    # Confidence .9 with 3 of 4 right, confidence .6 with 1 of 1 right.
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]])
    targets = np.array([0, 0, 0, 1, 0])
    result = score_classification(targets, probabilities, ["a", "b"])
    assert result.metrics["calibration_error"].value == pytest.approx(0.8 * 0.15 + 0.2 * 0.4)
    assert [entry["rows"] for entry in result.details["calibration"]] == [1, 4]


def test_top5_counts_the_right_class_among_the_best_five():
    targets, probabilities, labels = draw(1, rows=300, classes=9)
    scores = score_classification(targets, probabilities, labels).metrics
    expected = sklearn_metrics.top_k_accuracy_score(targets, probabilities, k=5)
    assert scores["top5_accuracy"].value == pytest.approx(expected, abs=1e-12)


def test_an_uninformative_model_has_no_perfect_top5():
    probabilities = np.full((10, 10), 0.1)
    scores = score_classification(np.arange(10), probabilities, list("abcdefghij")).metrics
    assert scores["top5_accuracy"].value == 0.5


def test_a_label_unseen_in_training_counts_as_wrong():
    targets = np.array([0, 1, -1])
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    result = score_classification(targets, probabilities, ["no", "yes"])
    assert result.metrics["accuracy"].value == pytest.approx(2 / 3)
    assert result.per_row.tolist() == [1.0, 1.0, 0.0]
    assert result.details["unseen_rows"] == 1
    assert result.warnings == ["1 rows have a label unseen in training: they count as wrong"]
    assert result.details["confusion"] == {"no": {"no": 1}, "yes": {"yes": 1}, UNSEEN: {"no": 1}}


def test_each_class_has_its_own_scores_with_intervals():
    targets = np.array([0] * 6 + [1] * 4)
    answers = np.array([0] * 5 + [1] * 5)
    result = score_classification(targets, np.eye(3)[answers], ["a", "b", "c"], resamples=200)
    a, b, c = result.details["per_class"]
    assert (a["support"], b["support"], c["support"]) == (6, 4, 0)
    assert a["recall"]["value"] == pytest.approx(5 / 6)
    assert b["precision"]["value"] == pytest.approx(4 / 5)
    assert a["recall"]["low"] < 5 / 6 < a["recall"]["high"]
    assert c["recall"] is None


def test_every_interval_holds_its_value():
    result = score_classification(*draw(3, rows=80, classes=7), resamples=200, seed=1)
    for name, score in result.metrics.items():
        assert 0 <= score.low <= score.value <= score.high, name
        assert score.high > score.low, name


def test_intervals_are_those_of_a_plain_loop_over_resampled_rows():
    targets, probabilities, labels = draw(2, rows=200, classes=3)
    quick = score_classification(targets, probabilities, labels, resamples=100, seed=7).metrics

    def looped(counts):
        values = []
        for line in counts.astype(int):
            rows = np.repeat(np.arange(200), line)
            one = score_classification(targets[rows], probabilities[rows], labels).metrics
            values.append([one[name].value for name in quick])
        return np.array(values)

    slow = dict(zip(quick, bootstrap_scores(looped, 200, resamples=100, seed=7), strict=True))
    for name, score in quick.items():
        if score.interval != "Wilson":
            # ROC-AUC is resampled to first order.
            exact = 1.5e-2 if name == "roc_auc" else 1e-9
            assert score.low == pytest.approx(slow[name].low, abs=exact), name
            assert score.high == pytest.approx(slow[name].high, abs=exact), name
            assert score.interval == slow[name].interval


def test_a_class_of_few_rows_has_wide_intervals_of_shares_and_none_of_f1():
    targets = np.array([0] * 4 + [1] * 20)
    probabilities = np.eye(2)[targets]
    evaluation = score_classification(targets, probabilities, ["few", "many"], resamples=50)
    few, many = evaluation.details["per_class"]
    assert few["recall"]["low"] == pytest.approx(0.5101, abs=1e-4)
    assert few["recall"]["interval"] == "Wilson"
    assert "low" not in few["f1"] and "low" not in many["f1"]  # all right: a constant
    assert evaluation.metrics["accuracy"].low == pytest.approx(0.8620, abs=1e-4)


def test_influences_are_the_derivative_of_the_area():
    targets, probabilities, _ = draw(4, rows=30, classes=3)
    area, influence = macro_auc(targets, probabilities)
    assert influence.sum() == pytest.approx(0, abs=1e-9)
    # Repeating every row 200 times and one row once more moves the area by its influence.
    rows = np.append(np.tile(np.arange(30), 200), 5)
    moved, _ = macro_auc(targets[rows], probabilities[rows])
    assert (moved - area) * 30 * 200 == pytest.approx(influence[5], rel=0.02)


def test_rows_that_cannot_be_scored_are_refused():
    with pytest.raises(DataError, match="no rows"):
        score_classification(np.array([], int), np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ArtifactError, match="not finite"):
        score_classification(np.array([0]), np.array([[np.nan, 1.0]]), ["a", "b"])


def test_the_same_seed_gives_the_same_intervals():
    first, again = (score_classification(*draw(6), resamples=50, seed=9) for _ in range(2))
    assert first.metrics == again.metrics


def test_many_classes_are_scored_quickly():
    targets, probabilities, labels = draw(0, rows=3000, classes=150)
    started = time.process_time()
    score_classification(targets, probabilities.astype(np.float32), labels)
    assert time.process_time() - started < 1.0


def test_softmax_stays_finite_for_large_logits():
    probabilities = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    np.testing.assert_allclose(probabilities, [[0.5, 0.5], [0.25, 0.75]])


def test_predictions_are_the_best_classes_in_order():
    one, other = decode_classes(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]), "abc", top_k=2)
    assert (one["prediction"], one["probability"]) == ("b", 0.5)
    assert [each["label"] for each in one["top_k"]] == ["b", "c"]
    assert other["prediction"] == "a"  # of equals the first
    assert "top_k" not in decode_classes(np.array([[0.2, 0.8]]), "ab")[0]


def test_the_explained_class_is_the_target_or_the_best():
    probabilities = np.array([0.2, 0.8])
    assert explained_class(probabilities, ("a", "b"), None) == (
        1,
        {"prediction": "b", "explained": "b", "probability": 0.8},
    )
    assert explained_class(probabilities, ("a", "b"), "a")[0] == 0
    with pytest.raises(UsageError, match="label"):
        explained_class(probabilities, ("a", "b"), "c")
