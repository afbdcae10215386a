"""The bag in NumPy against Keras."""

import keras
import numpy as np
import pytest

from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.models.bag import build_backbone
from aitk.nlp.models.bag_arrays import open_bag
from aitk.nlp.models.heads import classifier
from aitk.nlp.tasks.settings import BagSettings


def model_of(classes, **settings):
    backbone = build_backbone(BagSettings(**settings), 50, classes=classes)
    rng = np.random.default_rng(0)
    backbone.get_layer("rarity").fill(rng.random(50) + 1)
    model = classifier(backbone, classes=classes, pooling="root", dropout=0.0, linear=True)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("classes", [2, 40])
def test_it_computes_what_keras_computes(tmp_path, classes):
    model = model_of(classes)
    model.save(tmp_path / "model.keras")
    inputs = pad_tokens([[2, 3, 3, 1], [1], [49, 48, 47, 2, 2, 2, 1]])
    found = open_bag(tmp_path / "model.keras")(inputs)
    np.testing.assert_allclose(found, model(inputs), atol=1e-5)


def test_a_token_beyond_the_table_is_an_error(tmp_path):
    model_of(2).save(tmp_path / "model.keras")
    predict = open_bag(tmp_path / "model.keras")
    for token in (50, -1):
        with pytest.raises(IndexError):
            predict(pad_tokens([[2, token]]))


def test_other_networks_are_left_to_keras(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "model.keras")
    assert open_bag(tmp_path / "model.keras") is None
