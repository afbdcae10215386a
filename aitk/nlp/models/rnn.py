"""Bidirectional recurrent networks: simple (Elman 1990), LSTM (Hochreiter, Schmidhuber 1997)."""

from __future__ import annotations

import keras

from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import LstmSettings, RnnSettings


def build_rnn_backbone(settings: RnnSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> states of both directions (batch, length, 2 * hidden)."""
    return _build(keras.layers.SimpleRNN, settings, vocabulary_size)


def build_lstm_backbone(settings: LstmSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> states of both directions (batch, length, 2 * hidden)."""
    return _build(keras.layers.LSTM, settings, vocabulary_size)


def _build(cell: type, settings: RnnSettings, vocabulary_size: int) -> keras.Model:
    inputs = text_inputs()
    x = keras.layers.Embedding(vocabulary_size, settings.hidden, name="token_embedding")(
        inputs["token_ids"]
    )
    # Masked steps do not change the state: backwards, a text starts after its padding.
    mask = keras.ops.cast(inputs["padding_mask"], "bool")
    for index in range(settings.layers):
        x = keras.layers.SpatialDropout1D(settings.dropout, name=f"dropout_{index}")(x)
        recurrent = cell(settings.hidden, return_sequences=True, name=f"cell_{index}")
        x = keras.layers.Bidirectional(recurrent, name=f"both_ways_{index}")(x, mask=mask)
    return keras.Model(inputs, x, name="backbone")
