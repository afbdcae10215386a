"""``tune``: a space that is checked, trials that are trained, an interruption that costs one."""

import json

import pytest

from aitk.core.errors import UsageError
from aitk.core.options import resolve
from aitk.core.progress import Silent
from aitk.core.run import load_run
from aitk.nlp.settings import BagSettings
from aitk.recsys.rate import Rate
from aitk.recsys.recommend import Recommend
from aitk.recsys.settings import PopularSettings
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tune import Choice, Range, default_space, parse_space, tune
from aitk.vision.detect_settings import YoloSettings


def test_a_space_is_ranges_and_choices():
    space = parse_space(["learning-rate=1e-4..1e-2", "dropout=0..0.5", "hidden=8,16"], BagSettings)
    assert space == {
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "dropout": Range(0.0, 0.5, log=False),
        "hidden": Choice((8, 16)),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("droput=0..1", "Did you mean 'dropout'"),
        ("dropout", "KEY=LOW..HIGH"),
        ("dropout=1..0", "cannot read the range"),
        ("optimizer=adam,sdg", "Did you mean 'sgd'"),
    ],
)
def test_a_wrong_space_is_named(text, words):
    with pytest.raises(UsageError, match=words):
        parse_space([text], BagSettings)


def test_by_default_rate_batch_and_dropout_are_searched():
    assert set(default_space(BagSettings)) == {"learning_rate", "batch_size", "dropout"}
    assert default_space(BagSettings)["batch_size"] == Choice((16, 32, 64))
    assert default_space(YoloSettings)["batch_size"] == Choice((4, 8, 16))


class Impatient(Silent):
    """Presses Ctrl-C when the second trial starts."""

    def note(self, text):
        if text.startswith("trial 1:"):
            raise KeyboardInterrupt


def test_an_interrupted_search_goes_on_and_the_best_trial_is_the_run(good_or_bad, tmp_path):
    def search(reporter, *, resume=False):
        return tune(
            good_or_bad,
            tmp_path / "best",
            domain="nlp",
            options=resolve(TuneOptions, {"trials": 2, "space": ["dropout=0.1,0.3"]}),
            training=resolve(TrainingOptions, {"model": "bag", "epochs": 2}),
            settings={"vocabulary_size": 500, "hidden": 4},
            resume=resume,
            reporter=reporter,
        )

    with pytest.raises(KeyboardInterrupt):
        search(Impatient())
    with pytest.raises(UsageError, match="--resume"):
        search(Silent())
    outcome = search(Silent(), resume=True)
    trials = json.loads((tmp_path / "best" / "tuning.json").read_text())["trials"]
    assert len(trials) == 2
    assert outcome.facts["accuracy"] == max(trial["accuracy"] for trial in trials)
    run = load_run(tmp_path / "best")
    assert run.settings["dropout"] == outcome.facts["parameters"]["dropout"]
    assert not (tmp_path / "best.trials").exists()


def test_a_computed_model_is_searched_as_it_says(choices, tmp_path):
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


def test_a_model_without_settings_has_nothing_to_tune():
    with pytest.raises(UsageError, match="nothing to tune"):
        default_space(PopularSettings)


@pytest.mark.parametrize("model", [kind for task in (Recommend, Rate) for kind in
                                   task.models.values() if getattr(kind, "tuned", ())])  # fmt: skip
def test_every_space_holds_the_default(model):
    for key, item in default_space(model).items():
        default = getattr(model(), key)
        inside = default in item.values if isinstance(item, Choice) else item.low <= default
        assert inside and (isinstance(item, Choice) or default <= item.high), key
