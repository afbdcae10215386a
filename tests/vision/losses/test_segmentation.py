"""The losses against loops over pixels."""

import numpy as np
import pytest

from aitk.vision.features.geometry import VOID
from aitk.vision.losses.segmentation import SegmentationLoss, median_frequency_weights


@pytest.fixture
def images():
    """Two images of 4 x 5 pixels, three classes, some void, class 2 only in the first."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (2, 4, 5))
    truth[1] = np.minimum(truth[1], 1)
    truth[0, 0], truth[1, :, 4] = VOID, VOID
    return truth.astype(np.uint8), rng.normal(size=(2, 4, 5, 3)).astype(np.float32) * 2


def loss(terms, truth, logits, **options):
    each = SegmentationLoss(terms, reduction=None, **options)(truth.astype(np.float32), logits)
    return np.asarray(each)


def softmax(row):
    shifted = np.exp(row - row.max())
    return shifted / shifted.sum()


def known_pixels(truth, logits):
    """(truth, probabilities) of every pixel that is not void."""
    return [
        (int(truth[place]), softmax(logits[place].astype(float)))
        for place in np.ndindex(truth.shape)
        if truth[place] != VOID
    ]


def test_cross_entropy_is_the_mean_over_known_pixels(images):
    wanted = [
        np.mean([-np.log(p[label]) for label, p in known_pixels(*image)])
        for image in zip(*images, strict=True)
    ]
    assert loss("ce", *images) == pytest.approx(wanted, rel=1e-5)


def test_class_weights_multiply_the_pixels_of_their_class(images):
    weights = (0.5, 1.0, 4.0)
    wanted = [
        np.mean([-weights[label] * np.log(p[label]) for label, p in known_pixels(*image)])
        for image in zip(*images, strict=True)
    ]
    assert loss("ce", *images, class_weights=weights) == pytest.approx(wanted, rel=1e-5)


def test_focal_loss_turns_from_pixels_that_are_right(images):
    wanted = [
        np.mean([-((1 - p[label]) ** 2) * np.log(p[label]) for label, p in known_pixels(*image)])
        for image in zip(*images, strict=True)
    ]
    assert loss("focal", *images) == pytest.approx(wanted, rel=1e-5)


def test_dice_compares_areas_over_the_batch(images):
    pixels = known_pixels(*images)
    each = []
    for klass in range(3):
        both = sum(p[klass] for label, p in pixels if label == klass)
        squares = sum(p[klass] ** 2 + (label == klass) for label, p in pixels)
        each.append(1 - 2 * both / squares)
    assert loss("dice", *images) == pytest.approx([np.mean(each)] * 2, rel=1e-5)


def jaccard_loss(mistakes, truth):
    """1 - IoU of the prediction that is wrong on exactly these pixels."""
    predicted = truth ^ mistakes
    union = (truth | predicted).sum()
    return 1 - (truth & predicted).sum() / union if union else 0.0


def test_lovasz_is_the_lovasz_extension_of_the_lost_iou(images):
    pixels = known_pixels(*images)
    each = []
    for klass in range(3):
        truth = np.array([label == klass for label, _ in pixels])
        errors = np.array([abs((label == klass) - p[klass]) for label, p in pixels])
        # Berman et al. 2018, definition 1: what each further mistake adds, largest error first.
        value, mistakes = 0.0, np.zeros(len(pixels), bool)
        for place in np.argsort(-errors):
            before = jaccard_loss(mistakes, truth)
            mistakes[place] = True
            value += errors[place] * (jaccard_loss(mistakes, truth) - before)
        each.append(value)
    assert loss("lovasz", *images) == pytest.approx([np.mean(each)] * 2, rel=1e-4)


def test_a_sum_is_a_sum(images):
    parts = [loss(term, *images) for term in ("focal", "lovasz")]
    assert loss("focal+lovasz", *images) == pytest.approx(sum(parts))


def test_classes_that_no_image_shows_have_no_part(images):
    truth, logits = images
    truth = np.where(truth == 2, VOID, truth)
    # With a fourth class that nothing says, probabilities stay as they are.
    more = np.concatenate([logits, np.full((*logits.shape[:3], 1), -50, np.float32)], axis=3)
    for term in ("dice", "lovasz"):
        assert loss(term, truth, more) == pytest.approx(loss(term, truth, logits), rel=1e-5)


def test_void_alone_costs_nothing_and_moves_nothing(images):
    import keras
    import tensorflow as tf

    _, logits = images
    truth = np.full(logits.shape[:3], VOID, np.uint8)
    with tf.GradientTape() as tape:
        variable = keras.Variable(logits)
        value = SegmentationLoss("ce+dice")(truth, variable) + SegmentationLoss("lovasz")(
            truth, variable
        )
    assert float(value) == 0
    assert np.abs(tape.gradient(value, variable.value)).max() == 0


@pytest.mark.parametrize("term", ["ce", "dice", "focal", "lovasz"])
def test_a_step_down_the_gradient_lowers_it(images, term):
    import keras
    import tensorflow as tf

    truth, logits = images
    variable = keras.Variable(logits)
    with tf.GradientTape() as tape:
        before = SegmentationLoss(term)(truth, variable)
    variable.assign_sub(0.1 * tape.gradient(before, variable.value))
    assert float(SegmentationLoss(term)(truth, variable)) < float(before)


def test_a_loss_is_rebuilt_from_its_configuration(images):
    made = SegmentationLoss("ce+dice", class_weights=(1.0, 2.0, 3.0))
    again = SegmentationLoss.from_config(made.get_config())
    assert float(again(*images)) == float(made(*images))


def test_median_frequency_weights_lift_the_rare_classes():
    assert median_frequency_weights([100, 50, 10]) == (0.5, 1.0, 5.0)
    assert median_frequency_weights([100, 0, 50]) == (0.75, 0.0, 1.5)
    assert median_frequency_weights([0, 0]) == (0.0, 0.0)
