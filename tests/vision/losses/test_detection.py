"""Losses of detectors: their parts by hand, what they leave out, and where they push."""

import numpy as np
import pytest

BOX = [8, 8, 24, 24]


def objects(*images):
    table = np.zeros((len(images), 2, 6), np.float32)
    for image, rows in zip(table, images, strict=True):
        for place, row in enumerate(rows):
            image[place] = row
    return table


def value(loss, y_true, y_pred):
    from keras import ops

    return ops.convert_to_numpy(loss.call(y_true, ops.convert_to_tensor(y_pred)))


def yolo_rows(distances, logits, points=((16, 16), (40, 16)), stride=8):
    """Raw rows of an image: each position predicts its four distances (strides) with certainty."""
    from aitk.vision.models.detectors.yolo import BINS

    rows = []
    for point, four, classes in zip(points, distances, logits, strict=True):
        told = np.full((4, BINS), -50.0)
        told[range(4), four] = 50
        rows.append([*point, stride, *told.ravel(), *classes])
    return np.array([rows], np.float32)


def test_a_correct_prediction_has_no_loss():
    from aitk.vision.losses.detection import YoloLoss

    right = yolo_rows([[1, 1, 1, 1], [1, 1, 1, 1]], [[30, -30], [-30, -30]])
    assert value(YoloLoss(), objects([[*BOX, 0, 1]]), right) == pytest.approx([0], abs=1e-3)


def test_every_part_of_a_prediction_has_a_loss():
    from aitk.vision.losses.detection import YoloLoss

    truth = objects([[*BOX, 0, 1]])
    right = yolo_rows([[1, 1, 1, 1], [1, 1, 1, 1]], [[3, -3], [-3, -3]])
    wide = yolo_rows([[2, 1, 1, 1], [1, 1, 1, 1]], [[3, -3], [-3, -3]])
    other = yolo_rows([[1, 1, 1, 1], [1, 1, 1, 1]], [[-3, 3], [-3, -3]])
    more = yolo_rows([[1, 1, 1, 1], [1, 1, 1, 1]], [[3, -3], [3, -3]])
    least = value(YoloLoss(), truth, right)[0]
    for wrong in (wide, other, more):
        assert value(YoloLoss(), truth, wrong)[0] > least + 0.5


def test_the_distance_loss_is_the_cross_entropy_with_both_neighbours():
    from aitk.vision.losses.detection import _distance_loss

    rows = yolo_rows([[1, 1, 1, 1]], [[0]], points=[(16, 16)])
    rows[0, 0, 3:67] = 0  # all bins alike: log 16 whatever the distance
    boxes = np.array([[[6.0, 8.0, 24.0, 27.0]]], np.float32)
    assert float(_distance_loss(rows, boxes)[0, 0]) == pytest.approx(np.log(16), abs=1e-5)


def test_ignored_regions_cost_nothing():
    from aitk.vision.losses.detection import YoloLoss

    sure = yolo_rows([[1, 1, 1, 1], [1, 1, 1, 1]], [[-30, -30], [5, -30]])
    nothing = value(YoloLoss(), objects([]), sure)[0]
    ignored = value(YoloLoss(), objects([[32, 8, 48, 24, 0, 0]]), sure)[0]
    assert nothing > 2
    assert ignored == pytest.approx(0, abs=1e-3)


def test_the_loss_is_normalised_by_all_positive_positions():
    from keras import ops

    from aitk.vision.losses.detection import per_image

    sums, counts = ops.convert_to_tensor([6.0, 2.0]), ops.convert_to_tensor([3.0, 1.0])
    losses = ops.convert_to_numpy(per_image(sums, counts))
    assert losses.tolist() == [3, 1]
    assert losses.mean() == pytest.approx(8 / 4)


def test_smooth_l1_and_cross_entropy_by_hand():
    from keras import ops

    from aitk.vision.losses.detection import binary_cross_entropy, smooth_l1

    found = ops.convert_to_numpy(smooth_l1(ops.convert_to_tensor([0.0, 0.5, -3.0])))
    assert found.tolist() == [0, 0.125, 2.5]
    logits = ops.convert_to_tensor([2.0, -100.0, 100.0])
    wanted = ops.convert_to_tensor([1.0, 1.0, 0.0])
    found = ops.convert_to_numpy(binary_cross_entropy(wanted, logits))
    assert found == pytest.approx([np.log(1 + np.exp(-2)), 100, 100], abs=1e-4)


def anchor_rows(logits, corrections=None):
    anchors = np.array([[40.0 * place, 0, 40.0 * place + 20, 20] for place in range(len(logits))])
    corrections = np.zeros((len(logits), 4)) if corrections is None else corrections
    return np.concatenate([anchors, corrections, logits], axis=1)[None].astype(np.float32)


def test_three_times_as_much_background_is_learned_the_hardest():
    from keras import ops

    from aitk.vision.losses.detection import MIN_NEGATIVES, hardest
    from aitk.vision.models.detectors.matching import Matched

    count = 40
    losses = ops.convert_to_tensor(np.arange(count, dtype=np.float32)[None])
    share = np.zeros((1, count), np.float32)
    share[0, :4] = 1
    counted = np.ones_like(share)
    counted[0, -1] = 0  # the hardest of all lies in an ignored region
    matched = Matched(None, None, *map(ops.convert_to_tensor, (share, counted)))
    chosen = ops.convert_to_numpy(hardest(losses, matched))[0]
    assert np.flatnonzero(chosen).tolist() == list(range(count - 1 - 12, count - 1))
    nothing = Matched(None, None, ops.zeros((1, count)), ops.ones((1, count)))
    assert ops.convert_to_numpy(hardest(losses, nothing)).sum() == MIN_NEGATIVES


def test_ssd_learns_class_and_place():
    from aitk.vision.losses.detection import SsdLoss

    truth = objects([[0, 0, 20, 20, 1, 1]])
    right = [[0, 0, 20], [20, 0, 0], [20, 0, 0]]  # background first
    assert value(SsdLoss(), truth, anchor_rows(right)) == pytest.approx([0], abs=1e-4)
    wrong = [[0, 20, 0], [20, 0, 0], [20, 0, 0]]
    assert value(SsdLoss(), truth, anchor_rows(wrong))[0] == pytest.approx(20, abs=1e-3)
    moved = np.zeros((3, 4))
    moved[0, 0] = 3  # smooth L1 of 3 is 2.5
    assert value(SsdLoss(), truth, anchor_rows(right, moved))[0] == pytest.approx(2.5, abs=1e-3)


def test_both_stages_of_faster_rcnn_learn():
    from aitk.vision.losses.detection import FasterRcnnLoss
    from aitk.vision.models.detectors.faster_rcnn import PROPOSALS

    truth = objects([[0, 0, 20, 20, 1, 1]])

    def rows(first, second):
        rpn = anchor_rows(first)
        rpn = np.pad(rpn, ((0, 0), (0, 0), (0, 2)))
        empty = np.zeros((1, PROPOSALS.detections - 1, rpn.shape[-1]), np.float32)
        return np.concatenate([rpn, anchor_rows(second), empty], axis=1)

    right = value(FasterRcnnLoss(), truth, rows([[20], [-20]], [[0, 0, 20]]))[0]
    assert right == pytest.approx(0, abs=1e-3)
    # An object missed by the first stage, then taken for another class by the second.
    assert value(FasterRcnnLoss(), truth, rows([[-20], [-20]], [[0, 0, 20]]))[0] > 10
    assert value(FasterRcnnLoss(), truth, rows([[20], [-20]], [[0, 20, 0]]))[0] > 10


@pytest.mark.parametrize("name", ["yolo", "ssd", "faster-rcnn"])
def test_images_without_objects_have_finite_gradients(name):
    import tensorflow as tf

    from aitk.vision.losses.detection import LOSSES
    from aitk.vision.models.detectors.faster_rcnn import PROPOSALS

    rng = np.random.default_rng(0)
    if name == "yolo":
        rows = yolo_rows([[1, 1, 1, 1], [0, 0, 0, 0]], [[0, 0], [0, 0]])
    else:
        rows = anchor_rows(rng.normal(size=(PROPOSALS.detections + 3, 3)))
        rows[0, -2, :4] = 0  # an empty proposal
    rows = np.repeat(rows, 2, axis=0)
    with tf.GradientTape() as tape:
        told = tf.convert_to_tensor(rows)
        tape.watch(told)
        losses = LOSSES[name]().call(objects([], [[0, 0, 20, 20, 1, 1]]), told)
    slopes = tape.gradient(losses, told).numpy()
    assert np.isfinite(losses.numpy()).all()
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max() > 0
