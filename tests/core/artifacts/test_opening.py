"""A run's parts, checked against each other: settings, specification, outputs."""

import numpy as np
import pytest

from aitk.core.artifacts.opening import open_model, open_settings, open_spec
from aitk.core.artifacts.run import Run
from aitk.core.contract.errors import ArtifactError
from aitk.core.decoding.incremental import State
from tests.core.toy_task import ToyModel, ToySettings, ToyTask


class Sized(ToyModel):
    """Says that its only output has two numbers a row."""

    def output_sizes(self, assets):
        return {"outputs": 2}


class Task(ToyTask):
    models = {"dense": Sized(ToySettings)}


def run_of(folder, **changes):
    manifest = {"task": "toy.sign", "model": "dense", "format": "keras", "settings": {}}
    return Run(folder, manifest | changes)


def test_the_settings_are_those_of_the_runs_own_model(tmp_path):
    run = run_of(tmp_path, settings={"hidden": 3})
    assert open_spec(Task(), run) is Task.models["dense"]
    assert open_settings(Task(), run) == ToySettings(hidden=3)


@pytest.mark.parametrize(
    "changes", [{"model": "conv"}, {"settings": {"hidden": "wide"}}, {"settings": {"depth": 3}}]
)
def test_a_model_or_settings_that_the_task_lacks_are_damage(tmp_path, changes):
    with pytest.raises(ArtifactError, match=r"run\.json"):
        open_settings(Task(), run_of(tmp_path, **changes))


@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        (np.zeros((1, 2)), None),
        ({"outputs": np.zeros((1, 2)), "other": np.zeros(1)}, None),
        (np.zeros((1, 3)), "has 3 outputs, but its assets need 2"),
        ({"other": np.zeros((1, 2))}, "has None outputs"),
    ],
)
def test_outputs_of_another_size_than_the_assets_are_refused(tmp_path, monkeypatch, outputs, error):
    monkeypatch.setattr(
        "aitk.core.artifacts.opening.open_predictor", lambda run: lambda inputs: outputs
    )
    predict = open_model(Task(), run_of(tmp_path), None)
    if error is None:
        assert predict({}) is outputs
        return
    with pytest.raises(ArtifactError, match=error):
        predict({})


def test_inputs_that_a_model_does_not_take_are_damage(tmp_path, monkeypatch):
    def open_predictor(run):
        return lambda inputs: inputs["ids"]

    monkeypatch.setattr("aitk.core.artifacts.opening.open_predictor", open_predictor)
    with pytest.raises(ArtifactError, match=r"model\.keras"):
        open_model(Task(), run_of(tmp_path), None)({"values": np.zeros(1)})


class Failing:
    """A decoder that starts and then fails."""

    def start(self, inputs, *, rows, length):
        return State(0, {}, {})

    def advance(self, state, token_ids, parents=None):
        raise ValueError("no such token")


def test_a_decoder_keeps_its_cache_and_its_errors_are_damage(tmp_path, monkeypatch):
    def predict(inputs):
        raise AssertionError("the whole prefix was read again")

    predict.decoder = Failing()
    monkeypatch.setattr("aitk.core.artifacts.opening.open_predictor", lambda run: predict)
    decoder = open_model(Task(), run_of(tmp_path), None).decoder
    state = decoder.start({}, rows=1, length=2)
    with pytest.raises(ArtifactError, match=r"model\.keras"):
        decoder.advance(state, np.zeros((1, 1), np.int32))


def test_a_model_without_a_cache_has_no_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr("aitk.core.artifacts.opening.open_predictor", lambda run: lambda inputs: 0)
    assert open_model(Task(), run_of(tmp_path), None).decoder is None
