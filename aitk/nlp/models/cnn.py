"""Convolutions of several widths over words (Kim 2014, section 2)."""

from __future__ import annotations

import keras

from aitk.nlp.models.heads import HidePadding, text_inputs
from aitk.nlp.tasks.settings import CnnSettings

WIDTHS = (3, 4, 5)


def build_backbone(settings: CnnSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> features of word windows (batch, length, 3 * filters)."""
    inputs = text_inputs()
    x = keras.layers.Embedding(vocabulary_size, settings.hidden, name="token_embedding")(
        inputs["token_ids"]
    )
    x = keras.layers.SpatialDropout1D(settings.dropout / 2, name="embedding_dropout")(x)
    # A window over the end of a text reads zeros, with or without padding.
    x = HidePadding(name="hide_padding")(x, inputs["padding_mask"])
    windows = [
        keras.layers.Conv1D(
            settings.filters, width, padding="same", activation="relu", name=f"windows_of_{width}"
        )(x)
        for width in WIDTHS
    ]
    return keras.Model(inputs, keras.layers.Concatenate(name="windows")(windows), name="backbone")
