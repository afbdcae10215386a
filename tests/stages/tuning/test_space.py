"""The search space of ``tune``: ranges and choices, of one model or of several."""

import optuna
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import describe, resolve
from aitk.nlp.tasks.settings import BagSettings
from aitk.registry import TASKS, load_task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tuning.space import (
    Choice,
    Range,
    choose_models,
    default_space,
    parse_space,
    search_spaces,
)

CLASSIFY = load_task("nlp.classify")


def models(training=None, **options):
    return choose_models(
        CLASSIFY, resolve(TuneOptions, options), resolve(TrainingOptions, training or {})
    )


def spaces(names, *space, training=None, settings=None):
    return search_spaces(
        CLASSIFY,
        names,
        resolve(TuneOptions, {"space": list(space)}),
        resolve(TrainingOptions, training or {}),
        settings or {},
        {},
    )


def test_a_budget_in_minutes_searches_all_models():
    assert models() == ["bag"]
    assert models(minutes=5) == models(models="all")
    assert set(models(minutes=5)) < set(CLASSIFY.models)  # those that wrap weights from elsewhere
    assert models({"model": "cnn"}, minutes=5) == ["cnn"]
    assert models(models="cnn,bag,cnn") == ["cnn", "bag"]


@pytest.mark.parametrize(
    ("training", "options", "words"),
    [
        ({}, {"models": "bag,cmn"}, "Did you mean 'cnn'"),
        ({"model": "bag"}, {"models": "cnn"}, "--model already determines the model"),
        ({"from": "run"}, {"models": "cnn"}, "--from already determines the model"),
    ],
)
def test_models_that_contradict_each_other_are_refused(training, options, words):
    with pytest.raises(UsageError, match=words):
        models(training, **options)


def test_what_is_given_is_not_searched():
    found = spaces(["bag"], training={"learning_rate": 0.1}, settings={"dropout": 0.2})
    assert set(found["bag"]) == {"batch_size"}


def test_a_key_is_for_the_models_that_have_it_or_for_the_one_it_names():
    found = spaces(["bag", "cnn"], "dropout=0..0.2", "cnn.learning_rate=1e-4..1e-3")
    assert set(found["bag"]) == {"dropout"}
    assert set(found["cnn"]) == {"dropout", "learning_rate"}
    with pytest.raises(UsageError, match="unknown model 'cmn'"):
        spaces(["bag", "cnn"], "cmn.dropout=0..0.2")


def test_a_table_of_a_config_file_is_a_space():
    table = {"dropout": "0..0.5", "cnn": {"filters": [32, 64]}}
    options = resolve(TuneOptions, {"space": table})
    assert options.space == ["dropout=0..0.5", "cnn.filters=32,64"]


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
    assert type(found.suggest(optuna.create_study().ask(), "hidden")) is int


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
    space = default_space(CLASSIFY.models["bag"], {})
    assert set(space) == {"learning_rate", "batch_size", "dropout"}
    assert space["batch_size"] == Choice((16, 32, 64))
    assert space["dropout"] == Range(0.0, 0.5, log=False)
    yolo = default_space(load_task("vision.detect").models["yolo"], {})
    assert yolo["batch_size"] == Choice((4, 8, 16))


def test_a_model_without_ranges_has_nothing_to_tune():
    with pytest.raises(UsageError, match="no settings to tune"):
        search_spaces(
            load_task("recsys.recommend"), ["popular"], TuneOptions(), TrainingOptions(), {}, {}
        )


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
