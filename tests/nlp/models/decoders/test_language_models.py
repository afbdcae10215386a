"""Causal networks: no token depends on later ones."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.errors import ArtifactError
from aitk.core.decoding.incremental import KerasDecoder
from aitk.nlp.models import hub, rnn, transformer
from aitk.nlp.models.decoders.gpt import build_gpt
from aitk.nlp.models.decoders.language_models import NextTokens, check_causal
from aitk.nlp.models.decoders.lstm_lm import build_lstm
from aitk.nlp.tasks.settings import (
    CausalLstmSettings,
    GptSettings,
    LstmSettings,
    TransformerSettings,
)

BACKBONES = {
    "gpt": lambda: build_gpt(GptSettings(max_length=16), 20),
    "lstm": lambda: build_lstm(CausalLstmSettings(hidden=8, layers=2), 20),
}
IDS = np.array([[3, 4, 5, 6, 7, 8], [3, 4, 5, 9, 9, 9]], np.int32)
INPUTS = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}


def check_steps(model):
    """One token at a time, with a cache, gives the logits of all at once."""
    whole = np.asarray(model(INPUTS))
    decoder = KerasDecoder(model.incremental())
    state = decoder.start({}, rows=2, length=8)
    logits, state = decoder.advance(state, IDS[:, :2])
    np.testing.assert_allclose(decoder.to_numpy(logits), whole[:, 1], atol=2e-5)
    for place in range(2, 6):
        logits, state = decoder.advance(state, IDS[:, place : place + 1])
        np.testing.assert_allclose(decoder.to_numpy(logits), whole[:, place], atol=2e-5)
    swapped = decoder.take(state, np.array([1, 0]))
    assert swapped.place == 6


@pytest.fixture(scope="module", params=list(BACKBONES))
def model(request):
    return NextTokens(BACKBONES[request.param]())


def test_what_follows_changes_nothing_before_it(model):
    logits = np.asarray(model(INPUTS))
    np.testing.assert_allclose(logits[0, :3], logits[1, :3], atol=1e-6)
    assert np.abs(logits[0, 3:] - logits[1, 3:]).max() > 1e-4
    check_causal(model.get_layer("backbone"))


def test_a_step_at_a_time_gives_the_logits_of_all_at_once(model):
    check_steps(model)


def test_padding_has_no_effect_and_no_logits(model):
    padded = {name: np.pad(array, ((0, 0), (0, 5))) for name, array in INPUTS.items()}
    logits = np.asarray(model(padded))
    np.testing.assert_allclose(logits[:, :6], np.asarray(model(INPUTS)), atol=1e-5)
    assert (logits[:, 6:] == 0).all()


def test_it_reloads_with_its_tie(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(loaded(INPUTS)), np.asarray(model(INPUTS)), atol=1e-6)
    table = loaded.get_layer("backbone").get_layer("token_embedding").embeddings
    assert loaded.get_layer("head").embedding.embeddings is table
    assert loaded.count_params() == model.count_params()


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (transformer.build_backbone, TransformerSettings(max_length=16)),
        (rnn.build_lstm_backbone, LstmSettings(hidden=8)),
    ],
)
def test_a_network_that_reads_both_ways_is_refused(build, settings):
    with pytest.raises(ArtifactError, match="is bidirectional"):
        check_causal(build(settings, 20))


def test_gpt2_of_keras_hub_computes_what_it_computes_there():
    import keras_hub

    gpt2 = keras_hub.models.GPT2Backbone(
        vocabulary_size=20, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=16,
    )  # fmt: skip
    backbone = hub.wrap(gpt2, separator=0)
    check_causal(backbone)
    ours = np.asarray(NextTokens(backbone)(INPUTS))
    theirs = np.asarray(keras_hub.models.GPT2CausalLM(gpt2)(INPUTS))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    check_steps(NextTokens(backbone))


@pytest.mark.parametrize("tied", [True, False])
def test_llama_of_keras_hub_reads_token_by_token_and_reloads(tied, tmp_path):
    import keras_hub

    llama = keras_hub.models.Llama3Backbone(
        vocabulary_size=20, num_layers=1, num_query_heads=4, num_key_value_heads=2, hidden_dim=16,
        intermediate_dim=24, tie_word_embeddings=tied,
    )  # fmt: skip
    model = NextTokens(hub.wrap(hub.with_saved_tie(llama), separator=0))
    theirs = llama.token_embedding(llama(INPUTS), reverse=True)
    np.testing.assert_allclose(np.asarray(model(INPUTS)), np.asarray(theirs), atol=1e-5)
    check_steps(model)
    if tied:
        model.save(tmp_path / "model.keras")
        loaded = load_keras(tmp_path / "model.keras")
        np.testing.assert_allclose(np.asarray(loaded(INPUTS)), np.asarray(theirs), atol=1e-5)
        check_steps(loaded)
