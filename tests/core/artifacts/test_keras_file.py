"""Keras files: large ones are read part by part, hostile ones are refused before they cost."""

import json
import zipfile

import numpy as np
import pytest

from aitk.core.artifacts import keras_file
from aitk.core.artifacts.weights_file import read_arrays
from aitk.core.contract.errors import ArtifactError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model, as a file."""
    import keras

    path = tmp_path_factory.mktemp("saved") / "model.keras"
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Dense(3, name="dense")(x)).save(path)
    return path


def rewritten(saved, path, change, **how):
    """A copy of the file whose configuration is changed, as text."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", **how) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content.decode()) if name == "config.json" else content)
    return path


def test_a_configuration_that_unpacks_to_gigabytes_is_refused_by_what_it_claims(saved, tmp_path):
    path = rewritten(
        saved,
        tmp_path / "bomb.keras",
        lambda text: text + " " * 30_000_000,
        compression=zipfile.ZIP_DEFLATED,
    )
    assert path.stat().st_size < 200_000
    with pytest.raises(ArtifactError, match=r"config\.json \w+ 30,\d{3},\d{3} bytes"):
        keras_file.load_keras(path)


def test_a_model_larger_than_its_weights_is_refused_before_it_is_built(saved, tmp_path):
    path = rewritten(
        saved, tmp_path / "m.keras", lambda text: text.replace('"units": 3', '"units": 1000000000')
    )
    with pytest.raises(ArtifactError, match="larger than its weights"):
        keras_file.load_keras(path)


def test_too_many_layers_are_refused_before_they_are_built(monkeypatch):
    import keras

    monkeypatch.setattr(keras_file, "SPARE_ARRAYS", 30)  # the default takes 16 s to reach
    start = keras.layers.Layer.__init__
    with pytest.raises(ArtifactError, match="larger"), keras_file.bounded_weights(0, where="m"):
        [keras.layers.Dropout(0.1) for _ in range(1000)]
    assert keras.layers.Layer.__init__ is start


@pytest.mark.parametrize("config", ["", "[]", "null", "[" * 5000, '{"class_name": "Functional"}'])
def test_a_configuration_that_makes_no_sense_is_damage(saved, tmp_path, config):
    path = rewritten(saved, tmp_path / "m.keras", lambda _: config)
    with pytest.raises(ArtifactError, match=r"m\.keras"):
        keras_file.load_keras(path)


def test_code_inside_a_configuration_is_not_run(tmp_path):
    import keras

    x = keras.Input((4,))
    path = tmp_path / "lambda.keras"
    keras.Model(x, keras.layers.Lambda(lambda x: x + 1, output_shape=(4,))(x)).save(path)
    with pytest.raises(ArtifactError, match=r"lambda\.keras"):
        keras_file.load_keras(path)


def test_modules_that_a_configuration_names_are_not_run_as_programs(saved, tmp_path):
    def change(text):
        config = json.loads(text)
        return json.dumps(config | {"module": "aitk.__main__", "registered_name": "x"})

    with pytest.raises(ArtifactError, match=r"m\.keras"):
        keras_file.load_keras(rewritten(saved, tmp_path / "m.keras", change))


def test_arrays_outside_of_a_weights_file_are_refused(tmp_path):
    import h5py

    (tmp_path / "secret").write_bytes(bytes(80))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        place = [(str(tmp_path / "secret"), 0, 80)]
        file.create_dataset("dense/kernel:0", (10,), "f8", external=place)
    with pytest.raises(ArtifactError, match="is stored in another file"):
        read_arrays(tmp_path / "outside.h5")


def test_arrays_that_claim_more_than_is_stored_are_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("dense/kernel:0", (10**12,), "f4", chunks=(1000,))
    with pytest.raises(ArtifactError, match="declares more numbers than it has"):
        read_arrays(tmp_path / "bomb.h5")


def test_a_large_file_gives_the_same_model(tmp_path, monkeypatch):
    import keras

    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.BatchNormalization()(x)))
    model.save(tmp_path / "model.keras")
    given = np.ones((2, 4), np.float32)
    whole = keras_file.load_keras(tmp_path / "model.keras")
    monkeypatch.setattr(keras_file, "LARGE_BYTES", 0)
    large = keras_file.load_keras(tmp_path / "model.keras")
    for each in (whole, large):
        assert np.array_equal(each(given), model(given))


def test_mixed_precision_is_read_as_float32_where_it_is_wanted_or_emulated(tmp_path, monkeypatch):
    import keras

    x = keras.Input((4,))
    y = keras.layers.Dense(3, dtype="mixed_bfloat16")(x)
    y = keras.layers.Activation("tanh", dtype="mixed_bfloat16")(keras.ops.cast(y, "bfloat16"))
    model = keras.Model(x, keras.layers.Activation("linear", dtype="float32")(y))
    model.save(tmp_path / "m.keras")
    rows = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)

    def dtypes(loaded):
        return {layer.compute_dtype for layer in loaded._flatten_layers() if layer is not loaded}

    mixed = keras_file.load_keras(tmp_path / "m.keras")
    assert "bfloat16" in dtypes(mixed)
    exact = keras_file.load_keras(tmp_path / "m.keras", float32=True)
    assert dtypes(exact) == {"float32"}
    kernel, bias = (np.asarray(array) for array in model.weights)
    # The cast that the graph holds stays: it is no policy.
    assert np.allclose(exact(rows), np.tanh(rows @ kernel + bias), atol=1e-2)
    monkeypatch.setattr(keras_file, "is_emulated", lambda name: name == "bfloat16")
    assert dtypes(keras_file.load_keras(tmp_path / "m.keras")) == {"float32"}
