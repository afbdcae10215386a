"""Overlaps of boxes, in NumPy and in Keras' operations, and boxes encoded relative to anchors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.vision.features.boxes import (
    overlaps,
    size_overlaps,
    to_corner_and_size,
)

UNIT = [0, 0, 10, 10]


def boxes_of(draw, most=6):
    corner = st.tuples(st.floats(0, 50), st.floats(0, 50))
    side = st.tuples(st.floats(0.5, 40), st.floats(0.5, 40))
    made = draw(st.lists(st.tuples(corner, side), min_size=1, max_size=most))
    return np.array([[*c, c[0] + s[0], c[1] + s[1]] for c, s in made], np.float32)


@st.composite
def two_sets(draw):
    return boxes_of(draw), boxes_of(draw)


def test_half_of_a_box_overlaps_it_by_half():
    others = [UNIT, [0, 0, 5, 10], [5, 0, 15, 10], [10, 0, 20, 10]]
    assert overlaps([UNIT], others)[0] == pytest.approx([1, 1 / 2, 1 / 3, 0])


def test_what_lies_in_a_crowd_overlaps_it_wholly():
    crowd = [[0, 0, 100, 100]]
    assert overlaps([UNIT], crowd, crowd=[1])[0, 0] == 1
    assert overlaps([UNIT], crowd, crowd=[0])[0, 0] == pytest.approx(0.01)


def test_empty_boxes_overlap_nothing():
    assert overlaps([[3, 3, 3, 3]], [[3, 3, 3, 3]])[0, 0] == 0


@given(two_sets())
@settings(max_examples=100, deadline=None)
def test_numpy_agrees_with_pycocotools(pair):
    from pycocotools import mask

    first, second = pair
    wanted = mask.iou(
        to_corner_and_size(first).astype(float),
        to_corner_and_size(second).astype(float),
        [0] * len(second),
    )
    assert overlaps(first, second) == pytest.approx(wanted, abs=1e-6)


@given(two_sets())
@settings(max_examples=30, deadline=None)
def test_keras_agrees_with_numpy(pair):
    from keras import ops

    from aitk.vision.models.detectors.boxes import pairwise_iou

    found = ops.convert_to_numpy(pairwise_iou(*(ops.convert_to_tensor(each) for each in pair)))
    assert found == pytest.approx(overlaps(*pair), abs=1e-5)


def test_sizes_are_compared_at_one_corner():
    sizes = np.array([[10.0, 10.0], [10.0, 20.0]])
    assert size_overlaps(sizes, sizes).tolist() == [[1, 0.5], [0.5, 1]]


def test_corners_become_corner_and_size():
    boxes = np.array([[1.0, 2.0, 5.0, 9.0]])
    assert to_corner_and_size(boxes).tolist() == [[1, 2, 4, 7]]


@given(two_sets())
@settings(max_examples=30, deadline=None)
def test_encoded_boxes_are_decoded_exactly(pair):
    from keras import ops

    from aitk.vision.models.detectors.boxes import decode, encode

    count = min(map(len, pair))
    boxes, anchors = (ops.convert_to_tensor(each[:count]) for each in pair)
    back = ops.convert_to_numpy(decode(encode(boxes, anchors), anchors))
    # Growth beyond 62.5 times the anchor is cut.
    ratio = (pair[0][:count, 2:] - pair[0][:count, :2]) / (
        pair[1][:count, 2:] - pair[1][:count, :2]
    )
    fits = (ratio < 60).all(axis=1)
    assert back[fits] == pytest.approx(pair[0][:count][fits], abs=1e-2)


def test_complete_iou_is_1_for_equal_boxes_and_falls_with_distance_and_shape():
    from keras import ops

    from aitk.vision.models.detectors.boxes import complete_iou

    box = np.array([UNIT] * 4, np.float32)
    others = np.array([UNIT, [20, 0, 30, 10], [40, 0, 50, 10], [0, 0, 5, 20]], np.float32)
    found = ops.convert_to_numpy(complete_iou(box, others))
    assert found[0] == pytest.approx(1, abs=1e-5)
    # Apart: less the squared distance of the centres over that of the farthest corners.
    assert found[1] == pytest.approx(-(20**2) / (30**2 + 10**2), abs=1e-5)
    assert found[2] < found[1]
    assert found[3] < 50 / 150 - 0.0  # the same as IoU, less something for another shape
