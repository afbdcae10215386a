"""Scores of rows with any number of labels are those of scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.metrics.multi_label import (
    SHARED_ROWS,
    answer_labels,
    average_precision,
    best_threshold,
    constant_labels,
    log_odds,
    score_multi_label,
    sigmoid,
    tune_thresholds,
)

LABELS = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def rows():
    """Targets and probabilities of 300 rows, which agree somewhat; scores are tied now and then."""
    rng = np.random.default_rng(0)
    targets = rng.random((300, 4)) < [0.5, 0.3, 0.1, 0.02]
    probabilities = np.round(sigmoid(rng.normal(size=(300, 4)) + 2 * targets - 1), 2)
    return targets, probabilities


def scored(rows, *, limits=(0.5, 0.4, 0.6, 0.5), **options):
    return score_multi_label(*rows, LABELS, thresholds=limits, **options)


def test_metrics_equal_those_of_scikit_learn(rows):
    targets, probabilities = rows
    found = {name: score.value for name, score in scored(rows).metrics.items()}
    predictions = probabilities >= [0.5, 0.4, 0.6, 0.5]
    for average in ("micro", "macro"):
        precision, recall, f1, _ = reference.precision_recall_fscore_support(
            targets, predictions, average=average, zero_division=0
        )
        assert found[f"{average}_f1"] == pytest.approx(f1)
        assert found[f"{average}_precision"] == pytest.approx(precision)
        assert found[f"{average}_recall"] == pytest.approx(recall)
        precision = reference.average_precision_score(targets, probabilities, average=average)
        assert found[f"{average}_average_precision"] == pytest.approx(precision)
    f1 = reference.f1_score(targets, predictions, average="samples", zero_division=1)
    assert found["sample_f1"] == pytest.approx(f1)
    assert found["subset_accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    assert found["hamming_loss"] == pytest.approx(reference.hamming_loss(targets, predictions))


def test_the_table_of_classes_equals_that_of_scikit_learn(rows):
    targets, probabilities = rows
    table = scored(rows).details["per_class"]
    report = reference.precision_recall_fscore_support(
        targets, probabilities >= [0.5, 0.4, 0.6, 0.5], zero_division=0
    )
    for line, precision, recall, f1, support in zip(table, *report, strict=True):
        assert line["precision"]["value"] == pytest.approx(precision)
        assert line["recall"]["value"] == pytest.approx(recall)
        assert line["f1"]["value"] == pytest.approx(f1)
        assert line["support"] == support


def test_intervals_hold_the_value_and_resamples_are_of_the_main_metric(rows):
    evaluation = scored(rows, resamples=200)
    micro = evaluation.metrics["micro_f1"]
    assert micro.low < micro.value < micro.high
    ones = np.ones((1, len(rows[0])))
    assert evaluation.resampled(ones) == pytest.approx([micro.value])
    assert evaluation.metrics["subset_accuracy"].interval == "Wilson"


def test_labels_that_training_never_saw_are_missed(rows):
    targets, probabilities = rows
    known = scored(rows).metrics
    unseen = np.zeros(300, int)
    unseen[:10] = 2
    evaluation = scored(rows, unseen=unseen)
    hits, due = (targets & (probabilities >= [0.5, 0.4, 0.6, 0.5])).sum(), targets.sum()
    assert evaluation.metrics["micro_recall"].value == pytest.approx(hits / (due + 20))
    assert evaluation.metrics["micro_precision"].value == known["micro_precision"].value
    assert evaluation.details["unseen_rows"] == 10
    assert evaluation.metrics["subset_accuracy"].value <= known["subset_accuracy"].value


def test_a_row_without_labels_is_right_if_none_is_predicted():
    targets = np.zeros((2, 1), bool)
    evaluation = score_multi_label(targets, np.array([[0.1], [0.9]]), ["a"], thresholds=[0.5])
    assert evaluation.per_row.tolist() == [1, 0]


def test_rows_that_cannot_be_scored_are_refused(rows):
    with pytest.raises(DataError, match="no rows"):
        scored((rows[0][:0], rows[1][:0]))
    with pytest.raises(ArtifactError, match="not finite"):
        scored((rows[0], np.full_like(rows[1], np.nan)))


def test_average_precision_without_positives_is_undefined():
    assert np.isnan(average_precision(np.zeros(3, bool), np.ones(3)))


def test_a_tuned_threshold_has_the_best_f1_of_all(rows):
    for truth, scores in zip(rows[0].T, rows[1].T, strict=True):
        best = best_threshold(truth, scores)
        every = [reference.f1_score(truth, scores >= limit) for limit in np.unique(scores)]
        assert reference.f1_score(truth, scores >= best) == pytest.approx(max(every))


def test_a_threshold_lies_between_its_own_best_and_that_of_all_classes(rows):
    targets, probabilities = rows
    shared = log_odds(best_threshold(targets.ravel(), probabilities.ravel()))
    limits = log_odds(tune_thresholds(targets, probabilities))
    for index, count in enumerate(targets.sum(axis=0)):
        own = log_odds(best_threshold(targets[:, index], probabilities[:, index]))
        share = count / (count + SHARED_ROWS)
        assert limits[index] == pytest.approx(share * own + (1 - share) * shared)


def test_a_class_without_rows_has_the_threshold_of_all_classes(rows):
    targets, probabilities = rows[0].copy(), rows[1]
    targets[:, 3] = False
    shared = best_threshold(targets.ravel(), probabilities.ravel())
    assert tune_thresholds(targets, probabilities)[3] == pytest.approx(shared)
    assert tune_thresholds(np.zeros((5, 2), bool), np.ones((5, 2))) == pytest.approx([0.5, 0.5])


def test_predictions_are_the_labels_above_their_thresholds_in_order():
    probabilities = np.array([[0.5, 0.9, 0.2], [0.1, 0.1, 0.1]])
    first, second = answer_labels(probabilities, ["a", "b", "c"], [0.5, 0.5, 0.1], top_k=2)
    assert first["prediction"] == ["b", "a", "c"]
    assert first["probabilities"] == [0.9, 0.5, 0.2]
    assert first["top_k"] == [
        {"label": "b", "probability": 0.9}, {"label": "a", "probability": 0.5}
    ]  # fmt: skip
    assert second["prediction"] == ["c"]


def test_the_baseline_is_the_best_constant_answer():
    counts = {"a": 60, "b": 50, "c": 5}
    baseline = constant_labels(counts, 100, ["c", "a", "b"])
    assert baseline.measure([{}] * 2, {})["probabilities"].tolist() == [[0, 1, 1]] * 2


def test_a_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0, 0.5, 1]
