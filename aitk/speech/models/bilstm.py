"""A bidirectional LSTM over subsampled frames (Deep Speech 2, Amodei et al. 2016, section 3)."""

from __future__ import annotations

import keras

from aitk.speech.models.convolution import subsample
from aitk.speech.models.inputs import speech_inputs
from aitk.speech.tasks.settings import BiLstmCtcSettings, BiLstmSettings


def build_backbone(settings: BiLstmSettings | BiLstmCtcSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / subsampling), 2 * hidden)."""
    inputs = speech_inputs(dimensions)
    x, mask = subsample(
        inputs["features"], inputs["padding_mask"], settings.hidden, factor=settings.subsampling
    )
    # Masked steps leave the state unchanged: in reverse, a recording starts after its padding.
    real = keras.ops.cast(mask, "bool")
    for index in range(settings.layers):
        x = keras.layers.SpatialDropout1D(settings.dropout, name=f"dropout_{index}")(x)
        recurrent = keras.layers.LSTM(settings.hidden, return_sequences=True, name=f"cell_{index}")
        x = keras.layers.Bidirectional(recurrent, name=f"both_ways_{index}")(x, mask=real)
    return keras.Model(inputs, x, name="backbone")
