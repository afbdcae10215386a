"""The loss of a student, against the formula of Hinton et al. 2015 in NumPy."""

import dataclasses

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from aitk.core.compression.distill import (
    TEACHER_SHARE,
    TEMPERATURE,
    DistillationLoss,
    SoftTargetExamples,
    UnlabelledExamples,
)
from aitk.core.training.batches import Examples


def test_the_loss_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    labels = np.array([[0], [2], [1]])
    teacher, student = rng.normal(size=(2, 3, 3)).astype(np.float32) * 3
    soft = -np.sum(softmax(teacher / TEMPERATURE, 1) * log_softmax(student / TEMPERATURE, 1), 1)
    hard = -np.take_along_axis(log_softmax(student, 1), labels, 1)[:, 0]
    wanted = np.mean(TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard)
    found = DistillationLoss()(np.append(labels, teacher, axis=1).astype(np.float32), student)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_a_row_without_a_class_has_the_teacher_alone(toy_task):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 1, 3)).astype(np.float32)
    soft = -np.sum(softmax(teacher / TEMPERATURE, 1) * log_softmax(student / TEMPERATURE, 1))
    found = DistillationLoss()(np.append([[-1]], teacher, axis=1).astype(np.float32), student)
    assert float(found) == pytest.approx(TEACHER_SHARE * TEMPERATURE**2 * soft, rel=1e-5)
    rows = [{"values": [1.0], "label": "plus"}, {"values": [2.0]}]
    examples = UnlabelledExamples(
        Examples(rows, toy_task, None), 1, lambda each: dataclasses.replace(each, target=-1)
    )
    assert [item.target for item in examples.take([1, 0])] == [-1, 1]
    assert examples.lengths_of(np.arange(2)).tolist() == [1, 1]


def test_a_row_keeps_its_class_and_gets_its_own_logits(toy_task):
    rows = [{"values": [1.0], "label": "plus"}, {"values": [-1.0, -2.0], "label": "minus"}]
    examples = Examples(rows, toy_task, None)

    def append(example, outputs):
        return dataclasses.replace(example, target=np.append(example.target, outputs))

    taught = SoftTargetExamples(examples, np.array([[-3.0, 3.0], [4.0, -4.0]]), append)
    assert [item.target.tolist() for item in taught.take([1, 0])] == [[0, 4, -4], [1, -3, 3]]
    assert taught.lengths_of(np.arange(2)).tolist() == [1, 2] and len(taught) == 2
