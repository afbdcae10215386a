"""Every architecture: padding changes nothing, files reload, pretrained encoders are exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.tasks.classify import Classify
from aitk.nlp.tasks.settings import (
    BagSettings,
    CnnSettings,
    HubSettings,
    LstmSettings,
    RnnSettings,
    TransformerSettings,
)

VOCABULARY = 300
MODELS = {
    "bag": BagSettings(hidden=4),
    "cnn": CnnSettings(hidden=4, filters=4),
    "rnn": RnnSettings(hidden=4, layers=2),
    "lstm": LstmSettings(hidden=4),
    "transformer": TransformerSettings(max_length=32),
}


@dataclass(frozen=True)
class Words:
    """As much of a tokeniser as a model needs."""

    vocabulary_size: int = VOCABULARY


def assets(*, classes: int = 3, max_length: int = 32) -> TextAssets:
    return TextAssets(Words(), max_length, tuple("abcdefghi"[:classes]))


def backbone(name: str):
    return Classify.models[name].new_backbone(MODELS[name], assets())


def build(name: str, pooling: str | None = None):
    from aitk.nlp.models.heads import classifier

    settings = MODELS[name]
    model = classifier(
        backbone(name),
        classes=3,
        pooling=pooling or settings.pooling,
        dropout=settings.dropout,
    )
    return with_large_weights(model)


def with_large_weights(model):
    """Weights far from their start, so that a wrong mask would show."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.3, size=variable.shape))
    return model


def batch(*, pad_to: int):
    """Four texts of 7, 3, 1 and 5 tokens; the padding holds ids that must not be seen."""
    rng = np.random.default_rng(1)
    token_ids = rng.integers(1, VOCABULARY, (4, pad_to)).astype("int32")
    token_ids[:, :7] = np.random.default_rng(2).integers(1, VOCABULARY, (4, 7))
    lengths = np.array([7, 3, 1, 5])
    padding_mask = (np.arange(pad_to) < lengths[:, None]).astype("int32")
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def logits(model, inputs):
    return np.asarray(model(inputs))


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_no_logits(name):
    model = build(name)
    short = logits(model, batch(pad_to=7))
    np.testing.assert_allclose(logits(model, batch(pad_to=19)), short, atol=1e-5)
    one = {key: value[1:2, :3] for key, value in batch(pad_to=7).items()}
    np.testing.assert_allclose(logits(model, one), short[1:2], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "root", "max", "cls"])
def test_pooling_sees_real_tokens_only(pooling):
    model = build("bag", pooling)
    np.testing.assert_allclose(
        logits(model, batch(pad_to=7)), logits(model, batch(pad_to=12)), atol=1e-5
    )


def test_pooling_matches_its_definition():
    from aitk.nlp.models.heads import Pooling

    sequence = np.array([[[1.0, 4.0], [3.0, -8.0], [100.0, 100.0]]], "float32")
    mask = np.array([[1, 1, 0]], "int32")
    assert np.asarray(Pooling("mean")(sequence, mask)).tolist() == [[2, -2]]
    assert np.asarray(Pooling("root")(sequence, mask)) == pytest.approx(
        np.array([[4, -4]]) / np.sqrt(2)
    )
    assert np.asarray(Pooling("max")(sequence, mask)).tolist() == [[3, 4]]
    assert np.asarray(Pooling("cls")(sequence, mask)).tolist() == [[1, 4]]


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_after_loading(name, tmp_path):
    model = build(name)
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    inputs = batch(pad_to=9)
    np.testing.assert_array_equal(logits(loaded, inputs), logits(model, inputs))
    assert loaded.get_layer("backbone").name == "backbone"


@pytest.mark.parametrize("name", ["cnn", "lstm", "transformer"])
def test_logits_are_float32_in_mixed_precision(name):
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name)
        out = logits(model, batch(pad_to=9))
    finally:
        keras.config.set_dtype_policy("float32")
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_word_order_matters_to_all_but_the_bag():
    forward = {key: value[:1] for key, value in batch(pad_to=7).items()}
    backward = forward | {"token_ids": forward["token_ids"][:, ::-1].copy()}
    same = {
        name: np.allclose(logits(model := build(name), forward), logits(model, backward), atol=1e-4)
        for name in MODELS
    }
    assert same == {name: name == "bag" for name in MODELS}


def test_a_model_without_weights_of_its_own_reports_it():
    assert Classify.models["hub"].wraps_pretrained
    with pytest.raises(UsageError, match="--from"):
        Classify.models["hub"].build(HubSettings(), assets())


def test_texts_longer_than_the_positions_are_refused():
    spec, settings = Classify.models["transformer"], MODELS["transformer"]
    spec.build(settings, assets(max_length=32))
    with pytest.raises(UsageError, match="32 positions"):
        spec.build(settings, assets(max_length=33))


def tiny_bert(cls=None):
    import keras_hub

    cls = cls or keras_hub.models.BertBackbone
    return cls(
        vocabulary_size=VOCABULARY, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=32,
    )  # fmt: skip


def test_exact_gelu_is_still_there_after_saving(tmp_path):
    from aitk.nlp.models import hub
    from aitk.nlp.models.heads import classifier

    approximate = with_large_weights(tiny_bert())
    backbone = hub.wrap(hub.with_exact_gelu(approximate), separator=3)
    inputs = batch(pad_to=9)
    exact = logits(backbone, inputs)
    assert 1e-5 < abs(exact - logits(hub.wrap(approximate, separator=3), inputs)).max() < 0.1
    model = classifier(backbone, classes=2, pooling="mean", dropout=0.1)
    model.save(tmp_path / "model.keras")
    again = load_keras(tmp_path / "model.keras").get_layer("backbone")
    np.testing.assert_allclose(logits(again, inputs), exact, atol=1e-6)


def test_a_wrapped_encoder_ignores_padding():
    from aitk.nlp.models import hub
    from aitk.nlp.models.heads import classifier

    model = classifier(
        hub.wrap(with_large_weights(tiny_bert()), separator=3),
        classes=2,
        pooling="mean",
        dropout=0.1,
    )
    np.testing.assert_allclose(
        logits(model, batch(pad_to=7)), logits(model, batch(pad_to=19)), atol=1e-5
    )


def test_an_encoder_that_reads_no_padding_mask_is_refused():
    import keras_hub

    from aitk.nlp.models import hub

    with pytest.raises(ArtifactError, match="not a text encoder with a padding mask"):
        hub.wrap(tiny_bert(keras_hub.models.FNetBackbone), separator=3)


def bag_classifier(*, classes=3, hidden=4):
    return Classify.models["bag"].build(BagSettings(hidden=hidden), assets(classes=classes))


def test_units_unseen_in_training_have_no_effect():
    model = bag_classifier()
    assert logits(model, batch(pad_to=8)).tolist() == [[0, 0, 0]] * 4


def test_few_classes_need_one_number_a_unit_and_class():
    assert bag_classifier(classes=2, hidden=32).get_layer("backbone").output.shape[-1] == 2
    assert bag_classifier(classes=9, hidden=4).get_layer("backbone").output.shape[-1] == 4


def test_a_rare_unit_weighs_more_and_a_text_as_much_as_another():
    model = bag_classifier(classes=4, hidden=4)
    backbone = model.get_layer("backbone")
    backbone.get_layer("token_embedding").embeddings.assign(np.eye(VOCABULARY, 4))
    frequencies = np.ones(VOCABULARY)
    frequencies[1] = 3
    backbone.get_layer("rarity").fill(frequencies)
    tokens = np.array([[0, 1, 9, 9], [2, 3, 0, 1]], "int32")  # 9 and padding have no embedding
    mask = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], "int32")
    found = logits(model, {"token_ids": tokens, "padding_mask": mask})
    assert found[0] == pytest.approx([1 / 10**0.5, 3 / 10**0.5, 0, 0], abs=1e-5)
    assert found[1] == pytest.approx([0, 0, 1 / 2**0.5, 1 / 2**0.5], abs=1e-5)
