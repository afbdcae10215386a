"""The training loop on a toy: it learns, repeats, resumes, and stops when it should."""

import os
import shutil
import signal

import numpy as np
import pytest

from aitk.core.contract.errors import Interrupted, TrainingError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.task import Metric
from aitk.stages.options import TrainingOptions


@pytest.fixture
def run_training(toy_task, toy_rows, tmp_path):
    """Train the toy and return what training returned."""

    def run(*, rows=None, validation=None, resume=False, reporter=None, state="state", **given):
        if not resume:
            shutil.rmtree(tmp_path / state, ignore_errors=True)
        from aitk.core.runtime.devices import set_up_training
        from aitk.core.training.batches import Examples
        from aitk.core.training.loop import train

        given = {
            "epochs": 2,
            "learning_rate": 0.02,
            "batch_size": 16,
            "save_minutes": 60,
            "patience": 9,
        } | given
        options = resolve(TrainingOptions, given)
        set_up_training(seed=options.seed, precision="float32", devices=None)
        spec = toy_task.models["dense"]
        model = spec.build(spec.settings(), None)
        silent = Silent()
        if validation is None:
            validation = toy_rows(100, seed=1)
        judged = Examples(validation, toy_task, None) if validation else None
        return train(
            model,
            toy_task,
            None,
            train=Examples(rows or toy_rows(200), toy_task, None),
            validation=judged,
            options=options,
            state=tmp_path / state,
            identity="toy",
            reporter=reporter or silent,
            loss=spec.loss(None),
        )

    return run


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


class Interrupting(Silent):
    """A reporter that simulates Ctrl-C after a step."""

    def __init__(self, epoch, step):
        self.at = (f"epoch {epoch}/2", step)

    def update(self, what, done, total, detail=""):
        if (what, done) == self.at:
            press_ctrl_c()


def weights_of(trained):
    return [np.asarray(weight) for weight in trained.model.weights]


def equal(first, second):
    return all((a == b).all() for a, b in zip(weights_of(first), weights_of(second), strict=True))


def test_it_learns_and_keeps_its_history(run_training):
    trained = run_training(epochs=4)
    assert trained.best["accuracy"] > 0.9
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert not trained.model.compiled


@pytest.mark.parametrize("optimizer", ["muon", "schedule-free"])
def test_other_update_rules_learn_too(run_training, optimizer):
    assert run_training(epochs=4, optimizer=optimizer, learning_rate=0.05).best["accuracy"] > 0.9


def test_the_same_seed_gives_the_same_weights(run_training):
    first, second, other = run_training(), run_training(), run_training(seed=1)
    assert equal(first, second)
    assert not equal(first, other)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "accumulate": 2},
        {"layer_decay": 0.5, "freeze_epochs": 1, "ema": 0.9, "accumulate": 2},
        {"lora_rank": 1, "ema": 0.9},
        {"optimizer": "schedule-free"},
    ],
)
def test_wherever_it_is_interrupted_it_ends_with_the_same_bits(
    run_training, toy_task, monkeypatch, options
):
    whole = run_training(**options)
    cut = options | {"state": "cut"}
    with pytest.raises(Interrupted, match="epoch 2, step 5"):
        run_training(reporter=Interrupting(epoch=2, step=5), **cut)
    with pytest.raises(Interrupted, match="epoch 2, step 13.*--resume"):  # the last one
        run_training(reporter=Interrupting(epoch=2, step=13), resume=True, **cut)
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="epoch 2, step 13"):
        measure = toy_task.measure

        def interrupted(*given):  # during validation
            press_ctrl_c()
            return measure(*given)

        patch.setattr(type(toy_task), "measure", staticmethod(interrupted))
        run_training(resume=True, **cut)
    resumed = run_training(resume=True, **cut)
    assert equal(whole, resumed)
    assert without_times(resumed.history) == without_times(whole.history)


def without_times(history):
    return [{key: row[key] for key in row if key not in ("seconds", "waiting")} for row in history]


def test_between_two_epochs_and_when_all_is_done_a_training_can_go_on(run_training):
    options = {"freeze_epochs": 1, "state": "cut"}

    class Between(Silent):
        def epoch(self, row, *, best, epochs):
            if row["epoch"] == 1:
                press_ctrl_c()

    whole = run_training(freeze_epochs=1)
    with pytest.raises(Interrupted, match="epoch 2, step 0"):
        run_training(reporter=Between(), **options)
    assert equal(whole, run_training(resume=True, **options))
    again = run_training(resume=True, **options)
    assert equal(whole, again) and len(again.history) == 2


def test_patience_that_ran_out_before_an_interruption_still_ends_a_training(run_training):
    class Late(Silent):
        def epoch(self, row, *, best, epochs):
            if row["epoch"] == 3:
                press_ctrl_c()

    options = {"epochs": 9, "learning_rate": 0.0, "patience": 2}
    run_training(reporter=Late(), **options)
    resumed = run_training(resume=True, **options)
    assert (resumed.stopped, len(resumed.history)) == ("no improvement for 2 epochs", 3)


def test_a_loss_that_is_not_finite_stops_with_the_step(run_training, toy_rows):
    rows = toy_rows(40)
    rows[7]["values"] = [float("inf"), float("-inf")]
    with pytest.raises(TrainingError, match=r"loss is nan at step \d of epoch 1.*learning-rate"):
        run_training(rows=rows)


def test_minutes_and_patience_end_a_training(run_training):
    assert "max-minutes" in run_training(max_minutes=0).stopped
    flat = run_training(epochs=9, learning_rate=0.0, patience=2)
    assert flat.stopped == "no improvement for 2 epochs"
    assert len(flat.history) == 3


def test_of_equal_epochs_the_last_is_kept_though_it_is_no_gain(run_training):
    obvious = [{"values": [9.0], "label": "plus"}, {"values": [-9.0], "label": "minus"}]
    tied = run_training(validation=obvious, epochs=9, patience=2)
    scores = [row["accuracy"] for row in tied.history]
    assert scores.index(1.0) == len(scores) - 3
    assert tied.stopped == "no improvement for 2 epochs"
    assert tied.best["epoch"] == len(scores)


def test_the_weights_kept_of_equal_epochs_are_the_last(run_training):
    obvious = [{"values": [9.0], "label": "plus"}]
    tied = run_training(validation=obvious, epochs=3, learning_rate=0.05)
    assert [row["accuracy"] for row in tied.history][-2:] == [1.0, 1.0]
    assert equal(tied, run_training(validation=[], epochs=3, learning_rate=0.05))


def test_another_metric_than_the_main_one_may_pick_the_epoch(run_training, toy_task, monkeypatch):
    metric = Metric("accuracy", higher_is_better=False, selection="log_loss")
    monkeypatch.setattr(type(toy_task), "metric", metric)
    assert metric.watched == ("accuracy", "log_loss")
    trained = run_training(epochs=6, learning_rate=0.3)
    losses = [row["log_loss"] for row in trained.history]
    accuracies = [row["accuracy"] for row in trained.history]
    assert trained.best["epoch"] == 1 + losses.index(min(losses))
    assert trained.best["accuracy"] > min(accuracies)  # which would be the least now


@pytest.mark.parametrize(
    "options", [{"freeze_epochs": 1}, {"layer_decay": 0.0}, {"layer_decay": 0.0, "lora_rank": 1}]
)
def test_a_frozen_backbone_does_not_move(run_training, options):
    trained = run_training(epochs=1, **options)
    start = run_training(epochs=1, learning_rate=0.0)
    moved = {
        weight.path: not np.array_equal(weight, before)
        for weight, before in zip(trained.model.weights, weights_of(start), strict=True)
    }
    assert {path: moved[path] for path in moved if "seed" not in path} == {
        path: path.startswith("head") for path in moved if "seed" not in path
    }


def test_averaged_weights_are_evaluated_and_saved(run_training):
    plain, averaged = run_training(epochs=1), run_training(epochs=1, ema=0.9)
    assert averaged.history[0]["loss"] == pytest.approx(plain.history[0]["loss"])
    assert not equal(plain, averaged)


def test_low_rank_adapters_are_merged_away(run_training):
    plain = run_training(epochs=1)
    adapted = run_training(epochs=3, lora_rank=1, learning_rate=0.05)
    shapes = [weight.shape for weight in plain.model.weights]
    assert [weight.shape for weight in adapted.model.weights] == shapes
    assert adapted.best["accuracy"] > 0.8
