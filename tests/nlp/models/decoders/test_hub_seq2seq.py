"""T5 and BART of Keras Hub as translators."""

from __future__ import annotations

import keras_hub
import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.nlp.models.decoders.hub_seq2seq import TASKS, HubTranslator, wrap_seq2seq

VOCABULARY = 23
NETWORKS = {
    "t5": lambda: keras_hub.models.T5Backbone(
        VOCABULARY + 5, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=24
    ),
    "t5 untied": lambda: keras_hub.models.T5Backbone(
        VOCABULARY, 1, 2, 16, 24, key_value_dim=4, tie_embedding_weights=False
    ),
    "bart": lambda: keras_hub.models.BartBackbone(
        VOCABULARY, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=24,
        max_sequence_length=32,
    ),
}  # fmt: skip
INPUTS = {
    "token_ids": np.array([[5, 6, 7, 1], [8, 1, 0, 0]], np.int32),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int32),
    "target_ids": np.array([[0, 9, 10], [0, 11, 12]], np.int32),
}


def translator(kind: str) -> HubTranslator:
    return HubTranslator(wrap_seq2seq(NETWORKS[kind]()), VOCABULARY)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_logits_are_those_of_keras_hub(kind):
    network = NETWORKS[kind]()
    theirs = TASKS[type(network)](backbone=network, preprocessor=None)(
        {
            "encoder_token_ids": INPUTS["token_ids"],
            "encoder_padding_mask": INPUTS["padding_mask"],
            "decoder_token_ids": INPUTS["target_ids"],
            "decoder_padding_mask": np.ones_like(INPUTS["target_ids"]),
        }
    )
    ours = np.asarray(HubTranslator(wrap_seq2seq(network), VOCABULARY)(INPUTS))
    assert ours.shape == (2, 3, VOCABULARY)
    np.testing.assert_allclose(ours, np.asarray(theirs)[..., :VOCABULARY], atol=1e-5)


def test_a_token_without_which_another_is_less_likely_is_aligned_to_it():
    model = translator("t5")
    row = {name: array[:1] for name, array in INPUTS.items()}
    lost = model.alignment(row)
    assert lost.shape == (1, 3, 4)
    without = row | {"padding_mask": np.array([[1, 0, 1, 1]], np.int32)}
    whole, part = (np.asarray(model(each), np.float64)[0, 0] for each in (row, without))
    change = (whole - np.logaddexp.reduce(whole))[9] - (part - np.logaddexp.reduce(part))[9]
    assert lost[0, 0, 1] == pytest.approx(max(change, 0), abs=1e-4)


def test_a_network_of_another_kind_is_refused():
    encoder = keras_hub.models.BertBackbone(VOCABULARY, 1, 2, 8, 8, max_sequence_length=16)
    with pytest.raises(ArtifactError, match="is not an encoder-decoder"):
        wrap_seq2seq(encoder)
