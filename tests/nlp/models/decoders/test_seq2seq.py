"""Translators: padding changes nothing, and a step at a time equals all at once."""

from __future__ import annotations

import keras_hub
import numpy as np
import pytest

from aitk.core.decoding.incremental import KerasDecoder
from aitk.nlp.models.decoders.hub_seq2seq import HubTranslator, wrap_seq2seq
from aitk.nlp.models.decoders.seq2seq import LstmSeq2Seq, TransformerSeq2Seq, Translator

VOCABULARY = 23
KINDS = ["transformer", "lstm", "t5", "bart"]


def small(kind: str) -> Translator | HubTranslator:
    sizes = {"vocabulary_size": VOCABULARY, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    if kind == "t5":
        network = keras_hub.models.T5Backbone(intermediate_dim=24, **sizes)
        return HubTranslator(wrap_seq2seq(network), VOCABULARY)
    if kind == "bart":
        network = keras_hub.models.BartBackbone(intermediate_dim=24, **sizes)
        return HubTranslator(wrap_seq2seq(network), VOCABULARY)
    if kind == "lstm":
        return Translator(LstmSeq2Seq(VOCABULARY, hidden=12, layers=2, dropout=0.1))
    return Translator(
        TransformerSeq2Seq(VOCABULARY, hidden=16, layers=2, heads=2, width=24, dropout=0.1)
    )


def random_inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.ones((3, 6), np.int32)
    mask[1, 4:] = 0
    return {
        "token_ids": rng.integers(1, VOCABULARY, (3, 6)).astype(np.int32) * mask,
        "padding_mask": mask,
        "target_ids": rng.integers(1, VOCABULARY, (3, 5)).astype(np.int32),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_at_a_time_gives_the_logits_of_all_at_once(kind):
    model, inputs = small(kind), random_inputs()
    whole = np.asarray(model(inputs))
    decoder = KerasDecoder(model.incremental())
    state = decoder.start(inputs, rows=3, length=8)
    for place in range(5):
        logits, state = decoder.advance(state, inputs["target_ids"][:, place : place + 1])
        np.testing.assert_allclose(decoder.to_numpy(logits), whole[:, place], atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_can_be_dropped_repeated_and_prefilled(kind):
    model, inputs = small(kind), random_inputs()
    whole = np.asarray(model(inputs))
    decoder = KerasDecoder(model.incremental())
    state = decoder.start(inputs, rows=3, length=8)
    _, state = decoder.advance(state, inputs["target_ids"][:, :3])
    rows = np.array([2, 1, 1])
    state = decoder.take(state, rows)
    logits, _ = decoder.advance(state, inputs["target_ids"][rows, 3:4], np.array([0, 2, 1]))
    np.testing.assert_allclose(decoder.to_numpy(logits), whole[rows, 3], atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_the_source_changes_nothing(kind):
    model, inputs = small(kind), random_inputs()
    wider = {
        name: np.pad(array, ((0, 0), (0, 3))) if name != "target_ids" else array
        for name, array in inputs.items()
    }
    np.testing.assert_allclose(np.asarray(model(inputs)), np.asarray(model(wider)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_translator_computes_the_same(kind, tmp_path):
    import keras

    model, inputs = small(kind), random_inputs()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(model(inputs)), np.asarray(loaded(inputs)), atol=1e-6)


@pytest.mark.parametrize("kind", ["transformer", "lstm"])
def test_attention_to_the_source_sums_to_one_and_skips_padding(kind):
    model, inputs = small(kind), random_inputs()
    looks = np.asarray(model.get_layer("backbone").alignment(inputs))
    assert looks.shape == (3, 5, 6)
    np.testing.assert_allclose(looks.sum(-1), 1, atol=1e-5)
    assert looks[1, :, 4:].max() < 1e-6
