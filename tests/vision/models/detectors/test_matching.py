"""Assignment of positions to objects, on scenes that a reader can draw."""

import numpy as np
import pytest

from aitk.vision.features.boxes import overlaps
from aitk.vision.models.detectors.anchors import anchor_boxes, centre_points, learn_anchors

PADDING = [0, 0, 0, 0, 0, 0]


def targets(*images):
    """(batch, most, 6) of lists of (box, class, weight)."""
    most = max(len(rows) for rows in images)
    table = np.zeros((len(images), most, 6), np.float32)
    for image, rows in zip(table, images, strict=True):
        for place, (box, kind, weight) in enumerate(rows):
            image[place] = [*box, kind, weight]
    return table


def aligned(objects, boxes, scores, points, **more):
    from keras import ops

    from aitk.vision.models.detectors.matching import match_aligned, objects_of

    given = (np.asarray(each, np.float32) for each in (boxes, scores, points))
    matched = match_aligned(objects_of(objects), *map(ops.convert_to_tensor, given), **more)
    return [ops.convert_to_numpy(each) for each in matched]


def by_overlap(objects, anchors, **more):
    from keras import ops

    from aitk.vision.models.detectors.matching import match_anchors, objects_of

    anchors = ops.convert_to_tensor(np.asarray(anchors, np.float32))
    matched = match_anchors(objects_of(objects), anchors, **more)
    return [ops.convert_to_numpy(each) for each in matched]


def test_points_lie_in_the_middle_of_their_places():
    points, steps = centre_points([(2, 3), (1, 1)], [8, 16])
    assert points.tolist() == [
        [4, 4], [12, 4], [20, 4],
        [4, 12], [12, 12], [20, 12],
        [8, 8],
    ]  # fmt: skip
    assert steps.ravel().tolist() == [8] * 6 + [16]


def test_anchors_of_a_position_are_adjacent():
    boxes = anchor_boxes([(1, 2)], [8], [[(4, 4), (8, 2)]])
    assert boxes.tolist() == [[2, 2, 6, 6], [0, 3, 8, 5], [10, 2, 14, 6], [8, 3, 16, 5]]


def test_anchors_are_learned_from_the_boxes_there_are():
    sizes = np.repeat([[10.0, 10.0], [40.0, 20.0]], 50, axis=0)
    assert learn_anchors(sizes, [8, 16], each=1) == [[[10.0, 10.0]], [[40.0, 20.0]]]


def test_where_there_are_no_boxes_anchors_follow_the_strides():
    assert learn_anchors(np.zeros((0, 2)), [8, 16], each=1) == [[[32.0, 32.0]], [[64.0, 64.0]]]


def test_two_specks_among_hundreds_of_boxes_take_no_anchors():
    sizes = np.array([[1.0, 1.0]] * 2 + [[20.0, 20.0]] * 300 + [[50.0, 50.0]] * 700)
    assert np.min(learn_anchors(sizes, [8, 16], each=2)) >= 20


def test_few_boxes_give_as_many_anchors():
    found = np.array(learn_anchors(np.array([[10.0, 20.0]]), [8, 16, 32], each=4))
    assert found.shape == (3, 4, 2)
    assert (found > 0).all()


# A row of five points, 10 pixels apart, and what the model tells at each.
POINTS = [[5 + 10 * place, 5] for place in range(5)]
TOLD = [[[10 * place, 0, 10 * place + 10, 10] for place in range(5)]]


def test_the_best_aligned_points_inside_an_object_are_assigned_to_it():
    objects = targets([([0, 0, 30, 10], 1, 1)])
    scores = np.full((1, 5, 2), 0.5)
    told = np.array(TOLD)
    told[0, 1] = [0, 0, 30, 10]  # as good as can be
    boxes, classes, share, counted = aligned(objects, told, scores, POINTS, spacing=1, top=2)
    assert share[0, 1] == pytest.approx(1)
    assert (share[0] > 0).sum() >= 2  # the other two are alike
    assert (share[0, 3:] == 0).all()
    assert boxes[0, 1].tolist() == [0, 0, 30, 10]
    assert classes[0, 1] == 1
    assert counted.tolist() == [[1] * 5]


def test_of_two_equal_boxes_the_one_with_the_better_score_has_the_larger_share():
    objects = targets([([0, 0, 20, 10], 0, 1)])
    told = [[[0, 0, 20, 10]] * 5]
    scores = np.array([0.9, 0.1, 0.9, 0.9, 0.9])[None, :, None]
    share = aligned(objects, told, scores, POINTS, spacing=1)[2][0]
    assert share[0] == pytest.approx(1)
    assert share[1] == pytest.approx(1 / 3)  # the square root of a ninth
    assert share[2:].tolist() == [0, 0, 0]


def test_a_point_is_assigned_to_the_object_it_overlaps_most():
    objects = targets([([0, 0, 10, 10], 0, 1), ([0, 0, 50, 10], 1, 1)])
    scores = np.full((1, 5, 2), 0.5)
    classes, share = aligned(objects, TOLD, scores, POINTS, spacing=1)[1:3]
    assert classes[0, 0] == 0
    assert (classes[0, 1:] == 1).all()
    assert (share[0] > 0).all()


def test_an_object_between_the_points_is_not_forgotten():
    objects = targets([([9, 4, 11, 6], 0, 1)])
    scores = np.full((1, 5, 1), 0.5)
    told = [[[8, 3, 12, 7]] * 5]
    assert not aligned(objects, told, scores, POINTS, spacing=1)[2].any()
    assert (aligned(objects, told, scores, POINTS, spacing=12)[2][0, :2] > 0).all()


def test_what_lies_in_an_ignored_region_is_not_counted():
    objects = targets([([0, 0, 10, 10], 0, 1), ([0, 0, 30, 10], 0, 0)], [([0, 0, 30, 10], -1, 1)])
    scores = np.full((2, 5, 1), 0.5)
    counted = aligned(objects, TOLD * 2, scores, POINTS, spacing=1)[3]
    assert counted.tolist() == [[1, 0, 0, 1, 1], [0, 0, 0, 1, 1]]


def test_padding_is_no_object():
    share, counted = aligned(
        targets([], [([0, 0, 10, 10], 0, 1)]), TOLD * 2, np.full((2, 5, 1), 0.5), POINTS, spacing=1
    )[2:]
    assert not share[0].any()
    assert counted[0].all()
    assert share[1, 0] == pytest.approx(1)


ANCHORS = [[0, 0, 10, 10], [5, 0, 15, 10], [30, 0, 40, 10], [60, 0, 70, 10]]


def test_anchors_with_sufficient_overlap_are_assigned():
    objects = targets([([0, 0, 10, 10], 0, 1), ([32, 0, 42, 10], 2, 1)])
    classes, share = by_overlap(objects, ANCHORS, above=0.5, below=0.5, force=False)[1:3]
    assert share.tolist() == [[1, 0, 1, 0]]
    assert (classes[0, 0], classes[0, 2]) == (0, 2)


def test_between_the_bounds_an_anchor_is_not_counted():
    objects = targets([([0, 0, 10, 10], 0, 1)])
    share, counted = by_overlap(objects, ANCHORS, above=0.7, below=0.3, force=False)[2:]
    assert share.tolist() == [[1, 0, 0, 0]]
    assert counted.tolist() == [[1, 0, 1, 1]]  # the second overlaps by a third


def test_the_best_anchor_of_an_object_can_be_forced():
    objects = targets([([62, 0, 90, 20], 1, 1)])
    assert not by_overlap(objects, ANCHORS, above=0.5, below=0.5, force=False)[2].any()
    boxes, _, share, _ = by_overlap(objects, ANCHORS, above=0.5, below=0.5, force=True)
    assert share.tolist() == [[0, 0, 0, 1]]
    assert boxes[0, 3].tolist() == [62, 0, 90, 20]


def test_matching_by_overlap_agrees_with_a_loop():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (40, 2))
    anchors = np.concatenate([corners, corners + rng.uniform(10, 30, (40, 2))], axis=1)
    corners = rng.uniform(0, 60, (6, 2))
    truth = np.concatenate([corners, corners + rng.uniform(10, 30, (6, 2))], axis=1)
    objects = targets([(box, place, 1) for place, box in enumerate(truth)])
    classes, share = by_overlap(objects, anchors, above=0.5, below=0.5, force=True)[1:3]
    shared = overlaps(truth, anchors)
    forced = {int(row.argmax()): place for place, row in enumerate(shared) if row.max() > 0}
    for place in range(len(anchors)):
        best = int(shared[:, place].argmax())
        answers = place in forced or shared[best, place] >= 0.5
        assert share[0, place] == answers
        if answers:
            claims = [at for at, row in enumerate(shared) if row.argmax() == place]
            wanted = max(claims, key=lambda at: shared[at, place]) if claims else best
            assert classes[0, place] == wanted
