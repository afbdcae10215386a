"""Large files are read from disk, part by part, and give the same model."""

import numpy as np

from aitk.core import keras_file


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
