"""``tune``: trials that are trained, an interruption that costs one, a study of several models."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, Interrupted, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.runtime import interrupts
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tune import tune


def test_with_pretrained_weights_the_space_is_that_of_the_model_they_are_loaded_into(
    good_or_bad, tmp_path, monkeypatch
):
    searched = []

    def stop_at_space(task, models, *more):
        searched.extend(models)
        raise UsageError("enough")

    monkeypatch.setattr(
        "aitk.core.artifacts.pretrained.load_pretrained",
        lambda source, *, model, task: SimpleNamespace(model="rnn"),
    )
    monkeypatch.setattr("aitk.stages.tuning.search.search_spaces", stop_at_space)
    with pytest.raises(UsageError, match="enough"):
        tune(
            good_or_bad,
            tmp_path / "best",
            domain="nlp",
            options=TuneOptions(),
            training=resolve(TrainingOptions, {"from": "weights"}),
            settings={},
            reporter=Silent(),
        )
    assert searched == ["rnn"]


class Impatient(Silent):
    """Presses Ctrl-C in the second epoch of the second trial, and when the third one starts."""

    trial = ""

    def note(self, text):
        self.trial = text if text.startswith("trial ") else self.trial
        if text.startswith("trial 2:"):
            os.kill(os.getpid(), signal.SIGINT)

    def update(self, what, done, total, detail=""):
        if self.trial.startswith("trial 1:") and what.startswith("epoch 2/") and done == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_search_interrupted_wherever_ends_as_if_it_never_was(good_or_bad, tmp_path):
    def search(name, reporter, *, resume=False):
        with interrupts.listening():
            return tune(
                good_or_bad,
                tmp_path / name,
                domain="nlp",
                options=resolve(TuneOptions, {"trials": 3}),
                training=resolve(TrainingOptions, {"model": "bag", "epochs": 2}),
                settings={"vocabulary_size": 500, "hidden": 4},
                resume=resume,
                reporter=reporter,
            )

    whole = search("whole", Silent())
    with pytest.raises(Interrupted, match="epoch 2, step 2.*--resume"):
        search("cut", Impatient())
    with pytest.raises(UsageError, match="--resume"):
        search("cut", Silent())
    with pytest.raises(Interrupted, match="interrupted. Continue with --resume"):
        search("cut", Impatient(), resume=True)
    outcome = search("cut", Silent(), resume=True)
    assert outcome.table == whole.table
    complete = [row["accuracy"] for row in outcome.table if row["state"] == "complete"]
    assert outcome.facts["accuracy"] == max(complete)
    weights = [
        load_keras(tmp_path / name / "model.keras").get_weights() for name in ("whole", "cut")
    ]
    assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))
    assert not (tmp_path / "cut.trials").exists()


def test_the_trials_of_another_search_are_not_gone_on_with(choices, tmp_path, monkeypatch):
    def search(**training):
        return tune(
            choices,
            tmp_path / "best",
            domain="recsys",
            options=resolve(TuneOptions, {"trials": 1}),
            training=resolve(TrainingOptions, {"model": "ease", **training}),
            settings={},
            resume=True,
            reporter=Silent(),
        )

    with monkeypatch.context() as patch:  # a kill before the trials are removed
        patch.setattr("aitk.stages.tune.discard", lambda folder: None)
        search()
    assert (tmp_path / "best.trials").exists()
    (tmp_path / "best").rename(tmp_path / "away")
    with pytest.raises(ArtifactError, match="other data or options"):
        search(seed=1)
    (tmp_path / "away").rename(tmp_path / "best")
    assert search().facts["best_trial"] == 0 and not (tmp_path / "best.trials").exists()


def test_models_of_two_kinds_are_compared(choices, tmp_path):
    outcome = tune(
        choices,
        tmp_path / "best",
        domain="recsys",
        options=resolve(TuneOptions, {"trials": 4, "models": "popular,ease,item-knn"}),
        training=TrainingOptions(),
        settings={},
        reporter=Silent(),
    )
    assert [row["model"] for row in outcome.table[:3]] == ["popular", "ease", "item-knn"]
    assert outcome.table[3]["model"] != "popular"  # there is nothing to search
    scores = outcome.facts["models"]
    assert outcome.facts["ndcg@10"] == max(scores.values()) == scores[outcome.facts["model"]]
    assert load_run(tmp_path / "best").model == outcome.facts["model"]
    page = (tmp_path / "best" / "tuning.html").read_text()
    assert "Models" in page and "<script" not in page


def test_a_closed_form_model_is_searched_in_its_ranges(choices, tmp_path):
    outcome = tune(
        choices,
        tmp_path / "best",
        domain="recsys",
        options=resolve(TuneOptions, {"trials": 2}),
        training=resolve(TrainingOptions, {"model": "ease"}),
        settings={},
        reporter=Silent(),
    )
    assert [list(row) for row in outcome.table] == [["trial", "state", "ndcg@10", "l2"]] * 2
    assert outcome.table[0]["l2"] == 250  # the default comes first
    assert 10 <= load_run(tmp_path / "best").settings["l2"] <= 5000
