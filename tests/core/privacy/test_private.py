"""DP-SGD on a toy: what a row can change is bounded, the noise is what was promised."""

import os
import signal

import numpy as np
import pytest

from aitk.core.contract.errors import Interrupted, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.privacy.accountant import Account
from aitk.core.privacy.private import Privacy, StepParts
from aitk.stages.options import TrainingOptions

SECRET = "0123456789abcdef" * 2


def privacy(noise=1.0, clip_norm=1.0, rate=0.1, batch_size=20):
    return Privacy(Account(rate, noise, 1e-5), clip_norm, batch_size, SECRET)


@pytest.fixture
def steps():
    """Private steps of a small network, and rows for it."""

    def make(bound, width=4):
        import keras
        import tensorflow as tf

        from aitk.core.privacy.private import PrivateSteps

        keras.utils.set_random_seed(0)
        image = keras.Input((6, 6, 2), name="image")
        x = keras.layers.Conv2D(width, 3, activation="relu")(image)
        x = keras.layers.GroupNormalization(2)(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model({"image": image}, keras.layers.Dense(3)(x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1.0), loss=loss)
        model.optimizer.build(model.trainable_variables)
        rng = np.random.default_rng(0)
        images = tf.constant(rng.normal(size=(8, 6, 6, 2)), tf.float32)
        return PrivateSteps(model, bound), ({"image": images}, tf.constant([0, 1, 2, 0] * 2))

    return make


def sums_of(found):
    return [np.array(each) for each in found._sums]


def test_a_row_adds_no_more_than_the_clipping_norm(steps):
    import tensorflow as tf

    found, (inputs, targets) = steps(privacy(clip_norm=0.01))
    for row in range(8):
        before = sums_of(found)
        found.add({"image": inputs["image"][row : row + 1]}, targets[row : row + 1], tf.ones(1))
        added = [after - old for after, old in zip(sums_of(found), before, strict=True)]
        assert np.sqrt(sum((each**2).sum() for each in added)) <= 0.01 * (1 + 1e-4)


def test_rows_at_once_and_in_turn_give_the_same(steps):
    import tensorflow as tf

    found, batch = steps(privacy(clip_norm=0.3))
    assert found._at_once
    found.add(*batch, tf.ones(8))
    at_once = sums_of(found)
    other, batch = steps(privacy(clip_norm=0.3))
    other._at_once = False
    other.add(*batch, tf.ones(8))
    for first, second in zip(at_once, sums_of(other), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_without_noise_and_clipping_a_step_is_one_of_gradient_descent(steps):
    import keras
    import tensorflow as tf

    found, (inputs, targets) = steps(privacy(noise=1e-9, clip_norm=1e6, batch_size=8))
    plain = keras.models.clone_model(found.model)
    plain.set_weights(found.model.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.SGD(1.0), loss=loss)
    plain.train_on_batch(inputs, targets)
    found.add(inputs, targets, tf.ones(8))
    found.finish(0)
    for first, second in zip(plain.get_weights(), found.model.get_weights(), strict=True):
        # The noise, times so large a clipping norm, is 1e-3 / 8.
        np.testing.assert_allclose(first, second, atol=1e-3)


def test_a_step_without_rows_is_one_of_noise_of_the_right_size(steps):
    found, _ = steps(privacy(noise=2.0, clip_norm=0.5, batch_size=10), width=400)
    before = found.model.get_weights()
    found.finish(3)
    moved = np.concatenate(
        [(a - b).ravel() for a, b in zip(found.model.get_weights(), before, strict=True)]
    )
    assert moved.std() == pytest.approx(2.0 * 0.5 / 10, rel=0.05)
    assert abs(moved.mean()) < 0.01


def test_a_step_takes_every_row_with_the_same_probability():
    plan = privacy(rate=0.1).plan_epoch(500, 400, epoch=0)
    counts = np.bincount(np.concatenate(plan), minlength=500)
    sizes = np.array([len(rows) for rows in plan])
    assert counts.mean() == pytest.approx(40, rel=0.03)
    assert sizes.var() == pytest.approx(500 * 0.1 * 0.9, rel=0.25)  # not of one size
    again = privacy(rate=0.1).plan_epoch(500, 400, epoch=0)
    assert all((a == b).all() for a, b in zip(plan, again, strict=True))
    parts = StepParts(plan, lambda rows: -rows)  # the last row is the shortest
    first = np.concatenate([parts[at] for at in range(parts.starts[1])])
    np.testing.assert_array_equal(first, plan[0][::-1])
    assert sum(map(len, parts)) == sizes.sum()


@pytest.fixture
def run_privately(toy_task, toy_rows, tmp_path):
    def run(*, reporter=None, state="state", **given):
        from aitk.core.runtime.devices import set_up_training
        from aitk.core.training.batches import Examples
        from aitk.core.training.loop import train

        given = {"epochs": 2, "learning_rate": 0.1, "batch_size": 20, "patience": 9} | given
        options = resolve(TrainingOptions, given | {"private": True, "save_minutes": 60})
        set_up_training(seed=0, precision="float32", devices=None)
        spec = toy_task.models["dense"]
        model = spec.build(spec.settings(), None)
        silent = Silent()
        return train(
            model,
            toy_task,
            None,
            train=Examples(toy_rows(200), toy_task, None),
            validation=Examples(toy_rows(60, seed=1), toy_task, None),
            options=options,
            state=tmp_path / state,
            identity="toy",
            reporter=reporter or silent,
            loss=spec.loss(None),
            privacy=Privacy(Account(0.1, 1.0, 1e-5), 1.0, 20, Privacy.new_secret())
            if state == "cut"
            else privacy(),
        )

    return run


def test_it_learns_and_its_history_tells_nothing_of_the_training_rows(run_privately):
    trained = run_privately(epochs=6, learning_rate=0.3)
    assert trained.best["accuracy"] > 0.8
    assert trained.history[-1]["step"] == 60
    assert "loss" not in trained.history[0]


def test_an_interrupted_one_goes_on_with_the_same_rows_and_noise(run_privately, tmp_path):
    class Interrupting(Silent):
        def update(self, what, done, total, detail=""):
            if (what, done) == ("epoch 2/2", 4):
                os.kill(os.getpid(), signal.SIGINT)

    import shutil

    with pytest.raises(Interrupted, match="epoch 2, step 4"):
        run_privately(reporter=Interrupting(), state="first")
    shutil.copytree(tmp_path / "first", tmp_path / "cut")
    resumed = run_privately(state="cut")  # which would draw another secret
    whole = run_privately(state="whole")
    for first, second in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(np.array(first), np.array(second))
    assert resumed.history[-1]["step"] == whole.history[-1]["step"] == 20


def test_low_rank_adapters_and_a_frozen_backbone_train_too(run_privately):
    assert run_privately(lora_rank=1, epochs=1).history
    assert run_privately(freeze_epochs=9, epochs=1, state="frozen").history


def test_batch_normalisation_is_refused_unless_it_is_frozen():
    import keras

    from aitk.core.privacy.private import check_model

    image = keras.Input((4,), name="image")
    backbone = keras.Model(image, keras.layers.BatchNormalization()(image), name="backbone")
    model = keras.Model(image, keras.layers.Dense(2)(backbone(image)))
    with pytest.raises(UsageError, match="batch normalisation.*group"):
        check_model(model, trains_backbone=True)
    check_model(model, trains_backbone=False)
    backbone.trainable = False
    check_model(model, trains_backbone=True)
