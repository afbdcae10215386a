"""Distillation of hidden features: which they are, their loss, and the student that learns them."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from aitk.core.compression.distill import BatchTeacher, RowFeatures
from aitk.core.compression.hidden import (
    FEATURES,
    HiddenLoss,
    features_of,
    losses_with_hidden,
    with_features,
    with_projection,
)
from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Batch


def network(size, *, pooled=True, length=None):
    """Numbers (batch, length, 2), features of them, and two logits of the row or of every place."""
    inputs = keras.Input((length, 2), name="values")
    backbone = keras.Model(inputs, keras.layers.Dense(size)(inputs), name="backbone")
    x = backbone(inputs)
    if pooled:
        x = keras.layers.GlobalAveragePooling1D(name="pooling")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(x))


VALUES = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)


def test_the_loss_is_the_distance_relative_to_the_teachers_features():
    teacher, student = np.array([[3.0, 0], [1, 0]]), np.array([[3.0, 1], [2, 0]])
    scale = np.square(teacher).mean()
    wanted = 0.5 * np.square(teacher - student).mean(axis=-1) / scale
    assert np.asarray(HiddenLoss(0.5).call(teacher, student)) == pytest.approx(wanted)
    assert set(losses_with_hidden("own", 0.5)) == {"outputs", FEATURES}


def test_a_student_learns_its_teachers_features_and_stays_itself():
    keras.utils.set_random_seed(0)
    teacher, student = network(6), network(3)
    assert features_of(teacher).shape == (None, 6)
    shown = {name: np.asarray(each) for name, each in with_features(teacher)(VALUES).items()}
    np.testing.assert_allclose(shown["outputs"], np.asarray(teacher(VALUES)), rtol=1e-5)
    joint = with_projection(student, features_of(teacher))
    batch = Batch({"values": VALUES}, np.concatenate([np.zeros((4, 3)), shown[FEATURES]], axis=1))
    targets = RowFeatures(6)(batch).targets
    assert targets["outputs"].shape == (4, 3)
    loss = losses_with_hidden(lambda y_true, y_pred: 0 * y_pred[:, 0], 1.0)
    joint.compile(keras.optimizers.Adam(0.05), loss=loss)
    before = student.get_layer("backbone").get_weights()[0]
    losses = [
        float(joint.train_on_batch({"values": VALUES}, targets, return_dict=True)["loss"])
        for _ in range(40)
    ]
    assert losses[-1] < 0.1 * losses[0]
    assert (student.get_layer("backbone").get_weights()[0] != before).any()
    assert len(student.weights) == 4  # the projection is no part of it


def test_a_teacher_of_batches_shows_its_features_of_every_place():
    teacher = network(6, pooled=False, length=5)
    task = SimpleNamespace(
        teacher_outputs=lambda teacher, student: teacher,
        add_soft_targets_to_batch=lambda batch, outputs, assets: Batch(batch.inputs, outputs),
    )
    shown = BatchTeacher(with_features(teacher), network(3, pooled=False, length=5), task, None)
    targets = shown.with_features(Batch({"values": VALUES})).targets
    assert targets["outputs"].shape == (4, 5, 2) and targets[FEATURES].shape == (4, 5, 6)


def test_features_of_other_places_are_refused():
    with pytest.raises(UsageError, match="those of the run"):
        with_projection(network(3), features_of(network(3, pooled=False, length=5)))
    with pytest.raises(UsageError, match="those of the run"):
        with_projection(
            network(3, pooled=False, length=4), features_of(network(3, pooled=False, length=5))
        )
