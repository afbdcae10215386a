"""Losses of rows with any number of labels."""

import keras
import numpy as np
import pytest

from aitk.core.compression.distill import TEACHER_SHARE, TEMPERATURE
from aitk.core.training.label_losses import MultiLabelDistillation, MultiLabelLoss

LOGITS = np.array([[2.0, -1.0, 0.5], [-30.0, 30.0, 0.0]], np.float32)
HOT = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
#: The last column counts labels that training never saw.
TARGETS = np.column_stack([HOT, [0, 2]])


def test_it_is_binary_cross_entropy_over_the_classes():
    expected = keras.losses.binary_crossentropy(HOT, LOGITS, from_logits=True)
    np.testing.assert_allclose(MultiLabelLoss().call(TARGETS, LOGITS), expected, rtol=1e-5)
    smoothed = keras.losses.binary_crossentropy(HOT, LOGITS, from_logits=True, label_smoothing=0.2)
    found = MultiLabelLoss(smoothing=0.2).call(TARGETS, LOGITS)
    np.testing.assert_allclose(found, smoothed, rtol=1e-5)


def test_weights_count_for_rows_that_have_the_label():
    zeros = np.zeros((1, 2), np.float32)
    loss = MultiLabelLoss([3.0, 5.0])
    found = loss.call(np.array([[1.0, 0.0, 0.0]]), zeros)
    assert np.asarray(found) == pytest.approx([(3 + 1) * np.log(2) / 2])


def test_a_student_is_best_where_it_equals_its_teacher():
    teacher = np.array([[1.0, -2.0, 0.3]], np.float32)
    hot = (teacher > 0).astype(np.float32)
    targets = np.column_stack([hot, [0.0], teacher])
    loss = MultiLabelDistillation()
    same = float(loss.call(targets, teacher)[0])
    assert same < float(loss.call(targets, -teacher)[0])
    assert same < float(loss.call(targets, 0 * teacher)[0])


def test_a_row_without_labels_has_the_teacher_alone():
    teacher, student = np.array([[1.0, -2.0]], np.float32), np.array([[0.5, 0.1]], np.float32)
    found = MultiLabelDistillation().call(np.column_stack([[[0, 0]], [-1], teacher]), student)
    softened = 1 / (1 + np.exp(-teacher / TEMPERATURE))
    soft = keras.losses.binary_crossentropy(softened, student / TEMPERATURE, from_logits=True)
    assert float(found[0]) == pytest.approx(
        TEACHER_SHARE * TEMPERATURE**2 * float(soft[0]), rel=1e-5
    )
