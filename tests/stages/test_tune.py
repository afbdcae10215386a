"""``tune``: a space that is checked, trials that are trained, an interruption that costs one."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.marker import PLACED, mark
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, Interrupted, UsageError
from aitk.core.contract.options import describe, resolve
from aitk.core.contract.progress import Silent
from aitk.core.runtime import interrupts
from aitk.nlp.tasks.settings import BagSettings
from aitk.registry import TASKS, load_task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tune import Choice, Range, default_space, parse_space, tune


def test_a_space_is_ranges_and_choices():
    space = parse_space(["learning-rate=1e-4..1e-2", "dropout=0..0.5", "hidden=8,16"], BagSettings)
    assert space == {
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "dropout": Range(0.0, 0.5, log=False),
        "hidden": Choice((8, 16)),
    }


def test_a_range_of_whole_numbers_holds_no_others():
    (found,) = parse_space(["hidden=4..64"], BagSettings).values()
    assert found == Range(4, 64, log=True, whole=True)
    drawn = found.distribution()
    assert drawn._contains(39) and not drawn._contains(39.2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("droput=0..1", "Did you mean 'dropout'"),
        ("dropout", "KEY=LOW..HIGH"),
        ("dropout=1..0", "cannot read the range"),
        ("hidden=4.5..8", "cannot read the range"),
        ("optimizer=adam,sdg", "Did you mean 'sgd'"),
    ],
)
def test_a_wrong_space_is_named(text, words):
    with pytest.raises(UsageError, match=words):
        parse_space([text], BagSettings)


def test_by_default_rate_batch_and_the_ranges_of_the_settings_are_searched():
    space = default_space(load_task("nlp.classify").models["bag"], {})
    assert set(space) == {"learning_rate", "batch_size", "dropout"}
    assert space["batch_size"] == Choice((16, 32, 64))
    assert space["dropout"] == Range(0.0, 0.5, log=False)
    yolo = default_space(load_task("vision.detect").models["yolo"], {})
    assert yolo["batch_size"] == Choice((4, 8, 16))


def test_with_pretrained_weights_the_space_is_that_of_the_model_they_are_loaded_into(
    good_or_bad, tmp_path, monkeypatch
):
    searched = []

    def stop_at_space(spec, summary):
        searched.append(spec)
        raise UsageError("enough")

    monkeypatch.setattr(
        "aitk.core.artifacts.pretrained.load_pretrained",
        lambda source, *, model, task: SimpleNamespace(model="rnn"),
    )
    monkeypatch.setattr("aitk.stages.tune.default_space", stop_at_space)
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
    assert searched == [load_task("nlp.classify").models["rnn"]]


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
    with pytest.raises(Interrupted, match="interrupted. Go on with --resume"):
        search("cut", Impatient(), resume=True)
    outcome = search("cut", Silent(), resume=True)
    assert outcome.table == whole.table
    assert outcome.facts["accuracy"] == max(row["accuracy"] for row in outcome.table)
    weights = [
        load_keras(tmp_path / name / "model.keras").get_weights() for name in ("whole", "cut")
    ]
    assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))
    assert not (tmp_path / "cut.trials").exists()


def test_the_trials_of_another_search_are_not_gone_on_with(choices, tmp_path):
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

    folder = tmp_path / "best.trials"
    folder.mkdir()
    mark(folder, PLACED)
    (folder / "trials.json").write_text('{"identity": "other", "trials": []}')
    with pytest.raises(ArtifactError, match="other data or options"):
        search()
    (folder / "trials.json").unlink()
    search()
    folder.mkdir()  # as a kill before its removal leaves it
    mark(folder, PLACED)
    assert search().facts["best_trial"] == 0 and not folder.exists()


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


def test_a_model_without_ranges_has_nothing_to_tune():
    with pytest.raises(UsageError, match="no settings to tune"):
        default_space(load_task("recsys.recommend").models["popular"], {})


@pytest.mark.parametrize("name", TASKS)
def test_every_range_holds_the_default(name):
    for model, spec in load_task(name).models.items():
        for item in describe(spec.settings):
            if item.search is None or item.default is None:  # None: the data decides
                continue
            (found,) = parse_space([f"{item.name}={item.search}"], spec.settings).values()
            if isinstance(found, Choice):
                assert item.default in found.values, f"{model} {item.name}"
            else:
                assert found.low <= item.default <= found.high, f"{model} {item.name}"
