"""A pretrained text encoder is loaded with its tokeniser and follows its configuration."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.artifacts.pretrained import Pretrained
from aitk.core.contract.errors import ArtifactError
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.models.pretrained import adopt
from aitk.nlp.tasks.settings import CnnSettings

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]


def hugging_face(folder, *, vocabulary_size: int = 10, **config) -> Pretrained:
    import keras_hub

    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    encoder = keras_hub.models.BertBackbone(
        vocabulary_size=vocabulary_size, num_layers=1, num_heads=2, hidden_dim=8,
        intermediate_dim=16, max_sequence_length=16,
    )  # fmt: skip
    config = {"model_type": "bert", "hidden_act": "gelu"} | config
    return Pretrained(str(folder), "hugging-face", "hub", folder, encoder, config=config)


def features(backbone) -> np.ndarray:
    inputs = {"token_ids": np.array([[2, 5, 3]]), "padding_mask": np.ones((1, 3), "int32")}
    return np.asarray(backbone(inputs))


def test_the_backbone_takes_our_inputs_and_the_tokenizer_comes_along(tmp_path):
    found = adopt(hugging_face(tmp_path))
    assert found.backbone.name == "backbone"
    assert features(found.backbone).shape == (1, 3, 8)
    assert found.tokenizer.encode_many(["GOOD"], 8) == [[2, 5, 3]]
    assert found.settings == {"max_length": 16}  # it has no more positions
    assert found.skipped == ()


@pytest.mark.parametrize(("activation", "exact"), [("gelu", True), ("gelu_new", False)])
def test_the_file_determines_the_gelu(activation, exact, tmp_path):
    from aitk.nlp.models.hub import ExactBertBackbone

    layers = adopt(hugging_face(tmp_path, hidden_act=activation)).backbone.layers
    assert any(isinstance(layer, ExactBertBackbone) for layer in layers) == exact


def test_differences_from_keras_hub_are_reported_or_refused(tmp_path):
    found = adopt(hugging_face(tmp_path, layer_norm_eps=1e-5))
    assert found.skipped == (("layer_norm_eps", "1e-05 in the file, 1e-12 in Keras Hub"),)
    with pytest.raises(ArtifactError, match="'relu'"):
        adopt(hugging_face(tmp_path, hidden_act="relu"))
    with pytest.raises(ArtifactError, match="relative_key"):
        adopt(hugging_face(tmp_path, position_embedding_type="relative_key"))


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="has 7 tokens, but the model 6"):
        adopt(hugging_face(tmp_path, vocabulary_size=6))


def test_a_run_brings_the_tokenizer_it_was_trained_with(tmp_path):
    tokenizer = train_tokenizer(["good bad"], CnnSettings(tokenizer="word"))
    (tmp_path / "tokenizer").mkdir()
    tokenizer.save(tmp_path / "tokenizer")
    run = Pretrained("run", "run", "cnn", tmp_path)
    assert adopt(run).tokenizer.encode_many(["bad"], 8) == tokenizer.encode_many(["bad"], 8)


def test_a_file_without_a_vocabulary_is_reported(tmp_path):
    file = adopt(Pretrained("m.keras", "keras", "cnn", tmp_path))
    assert file.tokenizer is None
    assert file.skipped[0][0] == "tokenizer.json"
    assert file.report()[-1].startswith("not taken: tokenizer.json")
