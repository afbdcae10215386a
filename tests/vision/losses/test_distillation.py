"""Distillation of image models: its gradients, and refused pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.task import Batch
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import VOID
from aitk.vision.features.sample import KNOWN
from aitk.vision.tasks.classify import Classify
from aitk.vision.tasks.detect import Detect
from aitk.vision.tasks.multitask import Multitask
from aitk.vision.tasks.segment import Segment

ASSETS = ImageAssets(size=(32, 32), labels=("a", "b"))
MASKS = dataclasses.replace(ASSETS, parameters={"loss": "ce", "view": "whole"})


def boxes_of(model, **parameters):
    return dataclasses.replace(ASSETS, parameters={"model": model, **parameters})


def losses(loss, y_true, y_pred):
    from keras import ops

    return ops.convert_to_numpy(loss.call(y_true, ops.convert_to_tensor(y_pred)))


def trained(loss, y_true, y_pred, *, columns, steps=60, rate=0.05):
    """Raw outputs after steps down the slope of a loss, in some of their columns alone."""
    import tensorflow as tf

    told = tf.Variable(y_pred)
    free = np.zeros(y_pred.shape[-1], np.float32)
    free[columns] = 1

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss.call(y_true, told))
        told.assign_sub(rate * tf.sign(tape.gradient(value, told)) * free)

    for _ in range(steps):
        step()
    return told.numpy()


def test_classes_go_to_the_teacher_and_the_label():
    loss = Classify().distillation_loss(ASSETS, teacher=ASSETS)
    told = np.array([[2.0, -2.0]], np.float32)
    agreed = losses(loss, np.concatenate([[[1, 0]], told], axis=1), told)
    assert agreed == pytest.approx([0.1 * np.log(1 + np.exp(-4))], abs=1e-5)
    unlabelled = np.concatenate([[[0, 0]], told], axis=1).astype(np.float32)
    assert losses(loss, unlabelled, told) == pytest.approx([0], abs=1e-6)
    found = trained(loss, unlabelled, np.zeros((1, 2), np.float32), columns=slice(None))
    assert found[0, 0] - found[0, 1] == pytest.approx(4, abs=0.3)


def test_unlabelled_pixels_are_trained_on_the_teacher():
    loss = Segment().distillation_loss(MASKS, teacher=MASKS)
    told = np.zeros((1, 2, 2, 2), np.float32)
    told[..., 1] = 2
    task, truth = Segment(), np.full((1, 2, 2), VOID, np.uint8)
    targets = task.add_soft_targets_to_batch(Batch({}, truth), told, MASKS).targets
    assert (targets.shape, targets.dtype) == ((1, 2, 2, 3), np.float16)
    assert losses(loss, targets, told) == pytest.approx([0], abs=1e-6)
    found = trained(loss, targets, np.zeros_like(told), columns=slice(None))
    assert found[..., 1] - found[..., 0] == pytest.approx(np.full((1, 2, 2), 2.0), abs=0.3)
    known = task.add_soft_targets_to_batch(
        Batch({}, np.ones((1, 2, 2), np.uint8)), told, MASKS
    ).targets
    assert losses(loss, known, told) == pytest.approx([0.1 * np.log(1 + np.exp(-2))], abs=1e-4)


def yolo_case(sure):
    """An untrained student, and a teacher with a box of class b at one position."""
    from aitk.vision.models.detectors.yolo import BINS, PLACE

    rows = np.zeros((1, 2, PLACE + 4 * BINS + 2), np.float32)
    rows[0, :, :PLACE] = [[16, 16, 8], [40, 16, 8]]
    rows[0, :, -2:] = -2
    told = rows[..., PLACE:].copy()
    told[..., -2:] = -6
    if sure:
        told[0, 0, -1] = 3
    told[0, 0, [3, BINS + 2, 2 * BINS + 3, 3 * BINS + 1]] = 6  # distances in strides
    return rows, told


def test_yolo_learns_scores_and_distances_where_the_teacher_is_sure():
    from aitk.vision.losses.detection_distillation import append_teacher_rows
    from aitk.vision.models.detectors.yolo import PLACE, decode_boxes

    task, assets = Detect(), boxes_of("yolo")
    loss = task.distillation_loss(assets, teacher=assets)
    # All is ignored by the hard loss, so that what is learned comes from the teacher.
    objects = np.zeros((1, 4, 6), np.float32)
    objects[0, 0] = (0, 0, 64, 64, 0, 0)
    rows, told = yolo_case(sure=True)
    targets = task.add_soft_targets_to_batch(Batch({}, objects), told, assets).targets
    assert targets == pytest.approx(append_teacher_rows(objects, told))
    same = np.concatenate([rows[..., :PLACE], told], axis=-1)
    assert losses(loss, targets, same) == pytest.approx([0], abs=1e-5)
    found = trained(loss, targets, rows, columns=slice(PLACE, None), steps=120)
    wanted = np.asarray(decode_boxes(same))[0, 0]
    assert np.abs(np.asarray(decode_boxes(found))[0, 0] - wanted).max() < 4
    assert np.abs(np.asarray(decode_boxes(rows))[0, 0] - wanted).max() > 30
    assert found[0, 0, -1] > 1 > found[0, 0, -2]
    rows, told = yolo_case(sure=False)
    targets = append_teacher_rows(objects, told)
    found = trained(loss, targets, rows, columns=slice(PLACE, None), steps=5)
    assert (found[0, 0, PLACE:-2] == 0).all()  # its box says nothing


def anchored(corner=0.0, *, kinds=(0, 0, 0)):
    """Two anchors, a correction of the first, and logits with background first."""
    rows = np.zeros((1, 2, 8 + 3), np.float32)
    rows[0, :, :4] = [[0, 0, 20, 20], [40, 0, 60, 20]]
    rows[0, 0, 4] = corner
    rows[0, 0, 8:] = kinds
    rows[0, 1, 8] = 8
    return rows


def test_ssd_learns_classes_and_corrections_of_its_anchors():
    from aitk.vision.losses.detection_distillation import append_teacher_rows

    assets = boxes_of("ssd", anchors=[[[20, 20]]])
    loss = Detect().distillation_loss(assets, teacher=assets)
    ignored = np.array([[[-9, -9, 99, 99, 0, 0]]], np.float32)
    told = anchored(2.0, kinds=(-3, -3, 3))
    targets = append_teacher_rows(ignored, told[..., 4:])
    assert losses(loss, targets, told) == pytest.approx([0], abs=1e-5)
    found = trained(loss, targets, anchored(), columns=slice(4, None))
    assert found[0, 0, 4] == pytest.approx(2, abs=0.2)
    assert found[0, 0, 10] - found[0, 0, 8] > 3
    np.testing.assert_allclose(found[0, 1, 4:8], 0, atol=1e-6)  # background has no box


def test_faster_rcnn_learns_from_the_proposal_that_is_the_same():
    from aitk.vision.losses.detection_distillation import append_teacher_rows
    from aitk.vision.models.detectors.faster_rcnn import PROPOSALS

    assets = boxes_of("faster-rcnn", anchors=[[[20, 20]]])
    loss = Detect().distillation_loss(assets, teacher=assets)

    def rows(objectness, corner, kinds, place):
        rpn = np.zeros((1, 2, 11), np.float32)
        rpn[0, :, :4] = [[0, 0, 20, 20], [40, 0, 60, 20]]
        rpn[0, :, 8] = objectness
        second = np.zeros((1, PROPOSALS.detections, 11), np.float32)
        second[0, place, :4] = (0, 0, 20, 20)
        second[0, place, 4], second[0, place, 8:] = corner, kinds
        return np.concatenate([rpn, second], axis=1)

    ignored = np.array([[[-9, -9, 99, 99, 0, 0]]], np.float32)
    targets = append_teacher_rows(ignored, rows((4, -6), 1.5, (-3, -3, 3), 7))
    # The student has its proposal in another place of the list.
    agreed = rows((4, -6), 1.5, (-3, -3, 3), 2)
    assert losses(loss, targets, agreed) == pytest.approx([0], abs=1e-4)
    found = trained(loss, targets, rows((0, -6), 0, (0, 0, 0), 2), columns=slice(4, None))
    assert found[0, 0, 8] > 2
    assert found[0, 2 + 2, 4] == pytest.approx(1.5, abs=0.2)
    assert found[0, 2 + 2, 10] - found[0, 2 + 2, 8] > 3
    assert np.isfinite(found).all()


@pytest.mark.parametrize("model", ["yolo", "ssd", "faster-rcnn"])
def test_the_teacher_outputs_of_a_detector_are_raw(model):
    import keras

    task = Detect()
    small = {"image_size": "32", "filters": 4, "blocks": "1,1", "strides": "4", "width": 8}
    settings = resolve(task.models[model].settings, small)
    made = boxes_of(model, anchors=[[[8, 8]] * 4])
    keras.utils.set_random_seed(0)
    teacher = task.models[model].build(settings, made)
    student = task.models[model].build(dataclasses.replace(settings, width=16), made)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    outputs = np.asarray(task.teacher_outputs(teacher, student)({"image": image}, training=False))
    student_rows = student({"image": image}, training=True)
    batch = task.add_soft_targets_to_batch(
        Batch({}, np.zeros((1, 16, 6), np.float32)), outputs, made
    )
    loss = task.distillation_loss(made, teacher=made)
    assert np.isfinite(losses(loss, batch.targets, student_rows)).all()
    coarse = task.models[model].build(
        dataclasses.replace(settings, strides="8", blocks="1,1,1"), made
    )
    with pytest.raises(UsageError, match="positions") as raised:
        task.teacher_outputs(teacher, coarse)
    assert "strides" in raised.value.hint


def test_what_is_not_annotated_the_teacher_alone_teaches():
    heads = {"label": {}, "boxes": {"model": "yolo"}, "mask": {"loss": "ce", "view": "whole"}}
    names = {kind: ["a", "b"] for kind in heads}
    assets = dataclasses.replace(
        ASSETS, labels=(), parameters={"label_sets": names, "heads": heads}
    )
    task = Multitask()
    targets = {
        "label": np.array([[1, 0], [0, 0]], np.float32),
        "boxes": np.zeros((2, 16, 6), np.float32),
        "mask": np.full((2, 32, 32), VOID, np.uint8),
        KNOWN: np.array([[1, 1, 0], [0, 0, 0]], np.float32),
    }
    told = {
        "label": np.ones((2, 2), np.float32),
        "boxes": np.ones((2, 5, 70), np.float32),
        "mask": np.ones((2, 32, 32, 2), np.float32),
    }
    found = task.add_soft_targets_to_batch(Batch({}, targets), told, assets).targets
    assert found[KNOWN].all()
    assert found["label"].tolist() == [[1, 0, 1, 1], [0, 0, 1, 1]]
    # No boxes were found in the first image, and none looked for in the second.
    assert found["boxes"][:, 0, :6].tolist() == [[0] * 6, [0, 0, 32, 32, 0, 0]]
    assert found["mask"].shape == (2, 32, 32, 3)
    loss = task.distillation_loss(assets, teacher=assets)
    assert set(loss) == {"label", "boxes", "mask"}


def test_larger_teachers_of_whole_images_read_smaller_ones():
    import keras

    from aitk.vision.losses.distillation import resize_to_teacher

    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1.0)(image))
    teacher = keras.Model(image, mean)
    assert resize_to_teacher(teacher, (32, 32)) is teacher
    small = np.full((1, 16, 16, 3), (10, 20, 30), np.uint8)
    found = np.asarray(resize_to_teacher(teacher, (16, 16))(small))
    assert found == pytest.approx(np.array([[10, 20, 30]]), abs=1e-3)


REFUSED = [
    (Detect, boxes_of("yolo"), boxes_of("ssd"), "encodes boxes differently"),
    (Detect, boxes_of("yolo"), dataclasses.replace(boxes_of("yolo"), size=(64, 64)), "64x64"),
    (Detect, boxes_of("ssd", anchors=[1]), boxes_of("ssd", anchors=[2]), "anchors"),
    (Segment, MASKS, dataclasses.replace(MASKS, size=(64, 64)), "64x64"),
    (
        Segment,
        MASKS,
        dataclasses.replace(MASKS, parameters={"loss": "ce", "view": "tiles"}),
        "tiles",
    ),
    (Classify, ASSETS, dataclasses.replace(ASSETS, labels=("a", "b", "c")), "differ from those"),
]


@pytest.mark.parametrize(("task", "ours", "theirs", "said"), REFUSED)
def test_models_that_are_too_unlike_are_refused(task, ours, theirs, said):
    with pytest.raises(UsageError, match=said) as raised:
        task().distillation_loss(ours, teacher=theirs)
    assert raised.value.hint
