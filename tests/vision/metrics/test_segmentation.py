"""Scores of masks against scikit-learn, and against masks that a reader can check."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.vision.features.geometry import VOID
from aitk.vision.metrics.segmentation import count_boundaries, count_confusion, score_masks

LABELS = ["sky", "road", "tree"]


def drawn(seed, *, images=6, classes=3, void=0.1):
    """(truth, predicted) of each image: three of five pixels are right."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        truth = rng.integers(0, classes, (8, 10)).astype(np.uint8)
        wrong = rng.random(truth.shape) < 0.4
        predicted = np.where(wrong, rng.integers(0, classes, truth.shape), truth)
        truth[rng.random(truth.shape) < void] = VOID
        pairs.append((truth, predicted.astype(np.uint8)))
    return pairs


def counted(pairs, classes=3):
    return (
        np.stack([count_confusion(*pair, classes) for pair in pairs]),
        np.stack([count_boundaries(*pair, classes) for pair in pairs]),
    )


def known_pixels(pairs):
    truth, predicted = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    return truth[truth != VOID], predicted[truth != VOID]


def test_counts_are_scikit_learns():
    from sklearn.metrics import confusion_matrix

    for truth, predicted in drawn(0):
        wanted = confusion_matrix(*known_pixels([(truth, predicted)]), labels=range(3))
        assert count_confusion(truth, predicted, 3)[:, :3].tolist() == wanted.tolist()


@given(st.integers(0, 50))
def test_scores_are_scikit_learns(seed):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, jaccard_score

    pairs = drawn(seed, images=3)
    truth, predicted = known_pixels(pairs)
    scored = score_masks(*counted(pairs), LABELS)
    values = {name: score.value for name, score in scored.metrics.items()}
    assert values["mean_iou"] == pytest.approx(jaccard_score(truth, predicted, average="macro"))
    assert values["dice"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert values["pixel_accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert values["mean_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    each = jaccard_score(truth, predicted, average=None)
    assert [line["iou"]["value"] for line in scored.details["per_class"]] == pytest.approx(each)


def test_a_class_that_is_nowhere_is_left_out_and_one_only_predicted_counts_as_0():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    right = score_masks(*counted([(truth, truth)]), LABELS)
    assert right.metrics["mean_iou"].value == 1
    assert right.details["per_class"][2]["iou"] is None
    wrong = score_masks(*counted([(truth, np.array([[0, 0, 1, 2]], np.uint8))]), LABELS)
    assert wrong.metrics["mean_iou"].value == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_pixels_without_a_prediction_are_mistakes():
    truth = np.zeros((1, 4), np.uint8)
    cut = np.array([[0, 0, 0, VOID]], np.uint8)
    scored = score_masks(*counted([(truth, cut)]), LABELS)
    assert scored.metrics["mean_iou"].value == 3 / 4
    assert scored.metrics["pixel_accuracy"].value == 3 / 4


def test_what_is_predicted_of_void_changes_nothing():
    ((truth, predicted),) = drawn(1, images=1, void=0.4)
    other = np.where(truth == VOID, 1, predicted).astype(np.uint8)
    for one, two in zip(counted([(truth, predicted)]), counted([(truth, other)]), strict=True):
        assert one.tolist() == two.tolist()


def test_intervals_resample_images():
    pairs = drawn(2, images=30)
    confusions, boundaries = counted(pairs)
    scored = score_masks(confusions, boundaries, LABELS, resamples=400, seed=1)
    rng = np.random.default_rng(5)
    drawn_scores = [
        score_masks(confusions[rows], boundaries[rows], LABELS).metrics["mean_iou"].value
        for rows in rng.integers(0, 30, (400, 30))
    ]
    score = scored.metrics["mean_iou"]
    assert score.low < score.value < score.high
    assert [score.low, score.high] == pytest.approx(
        np.quantile(drawn_scores, [0.025, 0.975]), abs=0.01
    )
    again = score_masks(confusions, boundaries, LABELS, resamples=400, seed=1)
    assert again.metrics == scored.metrics


def test_each_image_has_its_own_mean_iou():
    pairs = drawn(3)
    scored = score_masks(*counted(pairs), LABELS)
    each = [score_masks(*counted([pair]), LABELS).metrics["mean_iou"].value for pair in pairs]
    assert scored.per_row.tolist() == pytest.approx(each)


def test_the_confusion_is_given_in_percent_of_the_class():
    truth = np.array([[0, 0, 0, 1]], np.uint8)
    predicted = np.array([[0, 0, 2, 1]], np.uint8)
    details = score_masks(*counted([(truth, predicted)]), LABELS).details
    assert details["confusion"] == {
        "sky": {"sky": 66.7, "tree": 33.3},
        "road": {"road": 100.0},
        "tree": {},
    }
    assert [line["share"] for line in details["per_class"]] == [0.75, 0.25, 0.0]


def halves(edge, *, height=60, width=80):
    """Class 0 left of a column, class 1 from it on. The diagonal is 100 pixels."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, edge:] = 1
    return mask


@pytest.mark.parametrize(("moved", "near"), [(0, 60), (1, 60), (-1, 60), (2, 0), (9, 0)])
def test_an_outline_may_be_off_by_a_share_of_the_diagonal(monkeypatch, moved, near):
    from aitk.vision.metrics import segmentation as overlap

    monkeypatch.setattr(overlap, "BOUNDARY_TOLERANCE", 0.01)  # of a diagonal of 100 pixels
    counts = count_boundaries(halves(40), halves(40 + moved), 2)
    assert counts.tolist() == [[60, near, 60, near]] * 2


def test_outlines_are_compared_as_a_loop_over_pixels_does():
    from aitk.vision.metrics.segmentation import BOUNDARY_TOLERANCE

    rng = np.random.default_rng(4)
    truth = np.kron(rng.integers(0, 3, (3, 4)), np.ones((20, 20))).astype(np.uint8)
    predicted = np.roll(truth, (1, 2), (0, 1))
    truth[:7] = VOID
    reach = BOUNDARY_TOLERANCE * 100

    def outline(mask, number):
        found = []
        for y, x in np.argwhere(mask == number):
            beside = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            inside = [p for p in beside if 0 <= p[0] < 60 and 0 <= p[1] < 80]
            if any(mask[p] not in (number, VOID) for p in inside):
                found.append((y, x))
        return np.array(found).reshape(-1, 2)

    def near(points, others):
        if not len(others):
            return 0
        away = np.hypot(*(points[:, None] - others[None]).transpose(2, 0, 1))
        return int((away.min(axis=1) <= reach).sum())

    hidden = np.where(truth == VOID, VOID, predicted)
    for number, counts in enumerate(count_boundaries(truth, predicted, 3)):
        result, actual = outline(hidden, number), outline(truth, number)
        assert counts.tolist() == [
            len(result),
            near(result, actual),
            len(actual),
            near(actual, result),
        ]


def test_boundary_f1_averages_the_classes_of_an_image_and_then_the_images():
    blank = np.zeros((60, 80), np.uint8)
    pairs = [(halves(40), halves(40)), (halves(40), halves(60)), (blank, halves(40))]
    scored = score_masks(*counted(pairs), LABELS)
    # The third has no true outline and takes no part.
    assert scored.metrics["boundary_f1"].value == 0.5


def test_missing_rows_are_reported():
    void = np.full((4, 4), VOID, np.uint8)
    with pytest.raises(DataError, match="no annotated pixels"):
        score_masks(*counted([(void, void)]), LABELS)
    with pytest.raises(DataError, match="no annotated pixels"):
        score_masks(np.zeros((0, 3, 4)), np.zeros((0, 3, 4)), LABELS)
