"""Missed objects and false boxes of a prediction."""

from __future__ import annotations

import numpy as np

from aitk.vision.metrics.detection_errors import find_box_errors


def row(*objects, crowd=0, **more):
    return {
        "boxes": np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        "box_labels": [label for label, _ in objects],
        "crowd": [crowd] * len(objects),
        **more,
    }


def answer(*boxes):
    return {"boxes": [{"label": label, "box": box, "score": 0.9} for label, box in boxes]}


ONE, OTHER = [0, 0, 10, 10], [20, 20, 30, 30]


def test_an_object_without_a_box_of_its_class_is_missed():
    errors = find_box_errors(
        answer(("cat", ONE), ("dog", OTHER)), row(("cat", ONE), ("cat", OTHER))
    )
    assert errors.false == (False, True)
    assert errors.missed == ({"box": OTHER, "label": "cat"},)


def test_boxes_that_overlap_by_less_than_half_find_nothing():
    errors = find_box_errors(answer(("cat", [0, 0, 10, 19]), ("cat", [20, 20, 30, 41])),
                         row(("cat", ONE), ("cat", OTHER)))  # fmt: skip
    assert errors.false == (False, True)
    assert [each["box"] for each in errors.missed] == [OTHER]


def test_an_object_is_found_once_by_the_best_box():
    errors = find_box_errors(answer(("cat", [0, 0, 10, 9]), ("cat", ONE)), row(("cat", ONE)))
    assert errors.false == (False, True)
    assert not errors.missed


def test_each_box_takes_the_object_nearest_to_it():
    near = [2, 0, 12, 10]
    errors = find_box_errors(answer(("cat", near), ("cat", ONE)), row(("cat", ONE), ("cat", near)))
    assert errors.false == (False, False)
    assert not errors.missed


def test_crowds_are_neither_found_nor_missed():
    errors = find_box_errors(
        answer(("cat", [2, 2, 4, 4]), ("cat", ONE)), row(("cat", ONE), crowd=1)
    )
    assert errors.false == (False, False)
    assert not errors.missed


def test_unannotated_images_have_no_box_errors():
    assert find_box_errors(answer(("cat", ONE)), {"image": b""}) is None
    assert find_box_errors(answer(("cat", ONE)), row(boxes_known=0)) is None
    assert find_box_errors({"mask": []}, row(("cat", ONE))) is None
    assert find_box_errors(answer(), row()).missed == ()
