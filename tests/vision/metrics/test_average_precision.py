"""Average precision: figures a reader can check, and equality with pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.vision.metrics.average_precision import (
    average_precisions,
    match_class,
    precision_recall,
    reference,
    score_detections,
)

BOX, FAR = [0, 0, 10, 10], [50, 50, 70, 70]


def found(*rows):
    """Detections of an image: (box, score, class) each."""
    return np.array([[*box, score, kind] for box, score, kind in rows], float).reshape(-1, 6)


def there(*rows, crowd=()):
    """Objects of an image: (box, class) each; ``crowd`` numbers those that are not scored."""
    table = np.array([[*box, kind, 1] for box, kind in rows], float).reshape(-1, 6)
    table[list(crowd), 5] = 0
    return table


ONE = pytest.approx(1)  # pycocotools adds the smallest number there is to what it divides by


def figures(detections, objects, labels=("a", "b"), **more):
    scored = score_detections(detections, objects, labels, **more)
    return {name: score.value for name, score in scored.metrics.items()}, scored


def test_all_found_and_nothing_else_is_perfect():
    metrics, scored = figures([found((BOX, 0.9, 0), (FAR, 0.8, 1))], [there((BOX, 0), (FAR, 1))])
    assert next(iter(metrics)) == "map50"
    for name in ("map50", "map75", "map", "mean_recall", "precision", "recall", "f1"):
        assert metrics[name] == ONE
    assert scored.per_row.tolist() == [1]


def test_a_better_scored_mistake_halves_the_precision():
    metrics, scored = figures([found((FAR, 0.9, 0), (BOX, 0.8, 0))], [there((BOX, 0))], ("a",))
    assert metrics["map50"] == pytest.approx(0.5)
    assert scored.details["confusion"] == {"a": {"a": 1}, "(nothing there)": {"a": 1}}


def test_one_of_two_found_reaches_half_of_the_recalls():
    metrics, _ = figures([found((BOX, 0.9, 0))], [there((BOX, 0), (FAR, 0))], ("a",))
    assert metrics["map50"] == pytest.approx(51 / 101)  # recalls 0, 0.01, ... 0.5


def test_a_box_too_wide_counts_at_small_overlaps_only():
    wide = [0, 0, 10, 14]  # IoU 0.714: passes 0.5 to 0.7
    metrics, _ = figures([found((wide, 0.9, 0))], [there((BOX, 0))], ("a",))
    assert (metrics["map50"], metrics["map75"]) == (ONE, 0)
    assert metrics["map"] == pytest.approx(0.5)


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong():
    objects = [there((BOX, 0), (FAR, 0), crowd=[1])]
    metrics, _ = figures([found((FAR, 0.9, 0), (FAR, 0.85, 0), (BOX, 0.8, 0))], objects, ("a",))
    assert metrics["map50"] == ONE


def test_a_class_that_training_never_saw_is_missed():
    metrics, scored = figures([found((BOX, 0.9, 0))], [there((BOX, 0), (FAR, -1))], ("a",))
    assert metrics["map50"] == pytest.approx(0.5)
    assert [line["label"] for line in scored.details["per_class"]][1].startswith("(never seen")


def test_a_class_without_objects_does_not_count():
    metrics, scored = figures([found((BOX, 0.9, 0), (FAR, 0.9, 1))], [there((BOX, 0))])
    assert metrics["map50"] == ONE
    assert scored.details["per_class"][1]["ap50"] is None
    assert scored.details["absent_classes"] == ["b"]
    assert "do not cover 1 classes without rows: b" in scored.warnings[0]


def test_metrics_by_size_are_those_of_the_sizes_there_are():
    metrics, _ = figures([found((BOX, 0.9, 0))], [there((BOX, 0))], resamples=2)
    assert metrics["map_small"] == ONE
    assert "map_large" not in metrics


def test_an_empty_image_is_correct_without_boxes():
    detections = [found((BOX, 0.9, 0)), found(), found((FAR, 0.95, 0))]
    _, scored = figures(detections, [there((BOX, 0)), there(), there()])
    assert scored.per_row.tolist() == [1, 1, 0]


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="no objects"):
        score_detections([found()], [there()], ["a"])
    with pytest.raises(ArtifactError, match="not finite"):
        score_detections([found((BOX, np.nan, 0))], [there((BOX, 0))], ["a"])


def scene(seed, images, classes):
    """Objects, and detections of which some are near them. Scores repeat, so that ties occur."""
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for _ in range(images):
        count = rng.integers(0, 6)
        corners = rng.uniform(0, 60, (count, 2))
        truth = np.concatenate([corners, corners + rng.uniform(5, 120, (count, 2))], axis=1)
        kinds = rng.integers(0, classes, count)
        weights = (rng.random(count) > 0.2).astype(float)
        objects.append(np.column_stack([truth, kinds, weights]).reshape(-1, 6))
        chosen = rng.integers(0, count, rng.integers(0, 9)) if count else np.zeros(0, int)
        near = truth[chosen] + rng.normal(0, 4, (len(chosen), 4))
        first, second = near[:, :2], near[:, 2:]
        near = np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)
        right = rng.random(len(chosen)) < 0.8
        told = np.where(right, kinds[chosen], rng.integers(0, classes, len(chosen)))
        scores = rng.integers(1, 20, len(chosen)) / 20
        detections.append(np.column_stack([near, scores, told]).reshape(-1, 6))
    return detections, objects


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_the_fast_figures_equal_those_of_pycocotools(seed, images, classes):
    detections, objects = scene(seed, images, classes)
    precision, recall = reference(detections, objects, classes)
    wanted = precision[..., 0].mean(axis=1)  # (overlaps, classes)
    matches = [match_class(detections, objects, number) for number in range(classes)]
    for number, item in enumerate(matches):
        (found,) = average_precisions(item, np.ones((1, images)))
        if item.objects.sum():
            assert found == pytest.approx(wanted[:, number], abs=1e-9)
        else:
            assert np.isnan(found).all()
    curves, recalls = precision_recall(matches)
    assert curves == pytest.approx(precision[..., :1], abs=1e-9)
    assert recalls == pytest.approx(recall[..., :1], abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_drawing_images_twice_equals_having_them_twice(seed):
    detections, objects = scene(seed, 4, 1)
    counts = np.random.default_rng(seed).integers(0, 3, 4)
    numbers = np.repeat(np.arange(4), counts)
    if not sum((objects[number][:, 5] > 0).sum() for number in numbers):
        return
    matches = match_class(detections, objects, 0)
    (drawn,) = average_precisions(matches, counts[None].astype(float))
    twice = match_class(*([each[n] for n in numbers] for each in (detections, objects)), 0)
    (had,) = average_precisions(twice, np.ones((1, len(numbers))))
    # Of equal scores the order may differ, which is of no matter where images repeat whole.
    assert drawn == pytest.approx(had, abs=0.05)


def test_intervals_hold_the_figures():
    detections, objects = scene(1, 12, 2)
    scored = score_detections(detections, objects, ["a", "b"], resamples=50, seed=0)
    for name in ("map50", "map75", "map"):
        score = scored.metrics[name]
        assert score.low <= score.value <= score.high
        assert score.low < score.high
    again = score_detections(detections, objects, ["a", "b"], resamples=50, seed=0)
    assert again.metrics == scored.metrics


def test_the_details_are_json():
    import json

    detections, objects = scene(1, 12, 2)
    details = score_detections(detections, objects, ["a", "b"], resamples=20).details
    json.dumps(details, allow_nan=False)
    (curve,) = details["curves"].values()
    assert [len(points) for points in curve["series"].values()] == [101, 101]
