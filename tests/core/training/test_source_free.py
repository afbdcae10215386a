"""Rows without labels: guesses by where rows gather, and a model that fits itself to them."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import Interrupted
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.metrics.classification import softmax
from aitk.core.training.batches import Examples
from aitk.stages.options import TrainingOptions
from tests.core.toy_task import LABELS, ToySettings, ToyTask

TASK = ToyTask()
OPTIONS = {"epochs": 20, "batch_size": 32, "learning_rate": 0.02}


def rows(count: int, *, shift: float, seed: int, swapped: bool = False):
    """Numbers whose sum is near -1 or 1, all moved by ``shift``."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    sums = 2.0 * labels - 1 + 0.1 * rng.normal(size=count) + shift
    return [
        {"values": [total], "label": LABELS[1 - label if swapped else label]}
        for total, label in zip(sums, labels, strict=True)
    ]


@pytest.fixture(scope="module")
def trained():
    """Tells sums below nought from those above; and the weights that do so."""
    import keras

    keras.utils.set_random_seed(0)
    model = TASK.models["dense"].build(ToySettings(dropout=0.0), None)
    known = rows(200, shift=0.0, seed=0)
    batch = TASK.collate(TASK.encode(known, None), None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss=loss)
    model.fit(batch.inputs, batch.targets, epochs=30, verbose=0)
    return model, model.get_weights()


@pytest.fixture
def model(trained):
    model, weights = trained
    model.set_weights(weights)
    return model


def accuracy(model, of) -> float:
    batch = TASK.collate(TASK.encode(of, None), None)
    return float(np.mean(np.argmax(model(batch.inputs), axis=1) == batch.targets))


def fit(model, of, state=None, reporter=None):
    from aitk.core.training.source_free import adapt

    with tempfile.TemporaryDirectory() as folder:
        return adapt(
            model,
            TASK,
            None,
            rows=Examples(of, TASK, None),
            options=resolve(TrainingOptions, OPTIONS),
            state=state or Path(folder),
            identity="same",
            reporter=reporter or Silent(),
        )


class Interrupting(Silent):
    """Stops an adaptation after its third epoch."""

    epochs = 0

    def note(self, text):
        self.epochs += 1
        if self.epochs == 3:
            raise Interrupted("interrupted")


def test_an_interrupted_adaptation_goes_on_to_the_same_weights(model, tmp_path):
    moved = rows(96, shift=0.5, seed=4)
    start = model.get_weights()
    whole = fit(model, moved)
    expected = model.get_weights()
    model.set_weights(start)
    with pytest.raises(Interrupted):
        fit(model, moved, tmp_path, Interrupting())
    model.set_weights(start)
    history = fit(model, moved, tmp_path)
    assert [row["loss"] for row in history] == [row["loss"] for row in whole]
    for one, other in zip(expected, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_fits_itself_to_rows_that_came_to_lie_elsewhere(model):
    moved = rows(120, shift=0.95, seed=1)
    assert accuracy(model, moved) < 0.85
    history = fit(model, moved)
    assert accuracy(model, moved) > 0.98
    assert history[-1]["guesses_changed"] == 0
    assert [row["step"] for row in history] == [3 * epoch for epoch in range(1, 21)]


def test_labels_are_never_looked_at(model):
    start = model.get_weights()
    told = []
    for swapped in (False, True):
        model.set_weights(start)
        fit(model, rows(64, shift=0.5, seed=2, swapped=swapped))
        told.append(model.get_weights())
    for one, other in zip(*told, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_head_stays_as_it_is(model):
    before = model.get_layer("head").get_weights()
    fit(model, rows(64, shift=0.5, seed=3))
    for one, other in zip(before, model.get_layer("head").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.get_layer("head").trainable


@given(st.integers(2, 5), st.integers(0, 1000))
def test_rows_that_gather_get_one_label(classes, seed):
    from aitk.core.training.source_free import guess_labels

    rng = np.random.default_rng(seed)
    true = np.arange(40) % classes
    features = 5 * np.eye(classes)[true] + 0.1 * rng.normal(size=(40, classes))
    logits = 2.0 * np.eye(classes)[true]
    unsure = rng.choice(40, 5, replace=False)
    logits[unsure] = np.roll(logits[unsure], 1, axis=1)  # sure of the wrong class
    np.testing.assert_array_equal(guess_labels(features, softmax(logits)), true)


def test_a_class_that_no_row_is_near_to_is_no_guess():
    from aitk.core.training.source_free import guess_labels

    chances = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] * 3)
    guesses = guess_labels(chances[:, :2], chances)
    np.testing.assert_array_equal(guesses, [0, 1] * 3)


def test_the_loss_is_that_of_the_paper():
    from aitk.core.training.source_free import GUESS_SHARE, InformationMaximisation

    logits = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    guesses = np.array([0, 1, 2, 2, 1, 0])
    chances = softmax(logits)
    unsure = -(chances * np.log(chances)).sum(axis=1).mean()
    share = chances.mean(axis=0)
    wrong = -np.log(chances[np.arange(6), guesses]).mean()
    wanted = unsure + (share * np.log(share)).sum() + GUESS_SHARE * wrong
    assert float(InformationMaximisation()(guesses, logits)) == pytest.approx(wanted, abs=1e-4)
