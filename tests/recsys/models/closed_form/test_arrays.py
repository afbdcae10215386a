"""The computed models in NumPy: the same as in Keras, and without TensorFlow."""

import json

import numpy as np
import pytest

import aitk
from aitk.core.artifacts.keras_arrays import read_layer
from aitk.core.artifacts.opening import open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.errors import ArtifactError
from aitk.core.runtime.samples import sample_folder
from aitk.recsys.models.closed_form.array_ratings import OPENERS, open_arrays
from aitk.recsys.models.closed_form.sparse import prune_neighbours
from tests.recsys.models.test_closed_models import MODELS, batch, fit, log, table


@pytest.fixture(scope="module")
def models():
    return {name: fit(settings, log()) for name, settings in MODELS.items()}


def opened(model, path):
    model.save(path)
    return open_arrays(read_layer(path, "backbone"))


def in_keras(model, inputs):
    """Without tracing a graph, which takes longer than all else here."""
    return np.asarray(model({spec.name: inputs[spec.name] for spec in model.inputs}))


@pytest.mark.parametrize("name", MODELS)
def test_a_computed_model_is_the_same_in_numpy(models, name, tmp_path):
    inputs = batch(table()[:6])
    inputs["history"][3, -2:] = 4  # twice the same item
    inputs["history_weights"][3, -2:] = 2.0
    inputs["history"][5], inputs["history_weights"][5] = 0, 0.0  # nothing is known
    found = opened(models[name], tmp_path / "model.keras")(inputs)
    exact = in_keras(models[name], inputs)
    assert found.dtype == np.float32
    assert found.shape == exact.shape
    assert found == pytest.approx(exact, abs=2e-4 if name == "random" else 2e-5)


def test_every_layer_of_a_computed_model_has_its_function(models):
    kinds = {type(model.get_layer("backbone")).__name__ for model in models.values()}
    assert kinds == set(OPENERS)


def test_a_pruned_model_is_read_as_well(models, tmp_path):
    pruned = prune_neighbours(models["item-knn"], share=0.5)
    inputs = batch(table()[:4])
    found = opened(pruned, tmp_path / "model.keras")(inputs)
    assert found == pytest.approx(in_keras(pruned, inputs), abs=1e-5)


def test_large_weights_are_read_from_a_file_of_their_own(models, tmp_path, monkeypatch):
    monkeypatch.setattr("aitk.core.artifacts.keras_arrays.SMALL_BYTES", 0)
    inputs = batch(table()[:2])
    found = opened(models["ease"], tmp_path / "model.keras")(inputs)
    assert found == pytest.approx(in_keras(models["ease"], inputs), abs=1e-5)


def test_neighbours_that_are_no_items_are_damage(models, tmp_path):
    layer = models["item-knn"].get_layer("backbone")
    weights, numbers = layer.get_weights()
    broken = fit(MODELS["item-knn"], log())
    broken.get_layer("backbone").set_weights([weights, numbers + 1000])
    with pytest.raises(ArtifactError, match="has indices out of range"):
        opened(broken, tmp_path / "model.keras")


def test_a_network_is_left_to_keras(tmp_path):
    import keras

    x = keras.Input((2,), name="history")
    keras.Model(x, keras.layers.Dense(3, name="backbone")(x)).save(tmp_path / "model.keras")
    layer = read_layer(tmp_path / "model.keras", "backbone")
    assert layer is None or open_arrays(layer) is None


def test_outputs_of_other_assets_are_refused(models, tmp_path):
    from aitk.recsys.tasks.recommend import Recommend

    models["popular"].save(tmp_path / "model.keras")
    run = Run(tmp_path, {"task": "recsys.recommend", "model": "popular", "format": "keras"})
    assets = type("Assets", (), {"rated": False, "items": [str(n) for n in range(5)]})()
    with pytest.raises(ArtifactError, match="has 11 outputs, but its assets need 5"):
        open_model(Recommend(), run, assets)(batch(table()[:1]))


COMMANDS = """
import sys
from aitk.cli.main import main
for command in sys.argv[1:]:
    assert main(command.split("|")) == 0, command
print([name for name in ("tensorflow", "keras", "pandas", "sklearn") if name in sys.modules])
"""


@pytest.mark.parametrize("model", ["recommend item-knn", "recommend popular", "rate average"])
def test_evaluate_and_predict_start_no_tensorflow(model, tmp_path, python):
    task, name = model.split()
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "lists.jsonl"
    aitk.prepare(str(sample_folder() / "shop_events.csv"), task=f"recsys.{task}", out=data)
    aitk.finetune(data, out=run, model=name)
    asked = tmp_path / "asked.csv"
    asked.write_text("user,item\nu118,p050\nu213,p065\n")
    commands = [
        ["recsys", "evaluate", run, "--resamples", "20"],
        ["recsys", "predict", run, asked, "--out", out],
    ]
    done = python(COMMANDS, *("|".join(map(str, command)) for command in commands))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert all("prediction" in json.loads(line) for line in out.read_text().splitlines())
