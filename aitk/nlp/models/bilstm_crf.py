"""A bidirectional LSTM over words and their characters.

Lample et al. 2016 (section 2, the BiLSTM-CRF) with the character convolutions of Ma and Hovy 2016
(section 2.1).
"""

from __future__ import annotations

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.nlp.tasks.settings import BilstmCrfSettings

CHARACTER_WIDTH = 3


def build_backbone(
    settings: BilstmCrfSettings, vocabulary_size: int, *, characters: int, word_length: int
) -> keras.Model:
    """``token_ids`` (batch, length), ``character_ids`` (batch, length, word length) and
    ``padding_mask`` (batch, length) -> states of both directions (batch, length, 2 * hidden).

    Args:
        vocabulary_size: number of words.
        characters: number of character ids.
        word_length: characters per word; 0 is padding.
    """
    inputs = word_inputs(word_length)
    words = keras.layers.Embedding(vocabulary_size, settings.embedding, name="token_embedding")(
        inputs["token_ids"]
    )
    letters = keras.layers.Embedding(
        characters, settings.character_embedding, name="character_embedding"
    )(inputs["character_ids"])  # (batch, length, word length, embedding)
    letters = keras.layers.Conv2D(
        settings.character_filters,
        (1, CHARACTER_WIDTH),
        padding="same",
        activation="relu",
        name="character_windows",
    )(letters)
    letters = CharacterMaxima(name="character_maxima")(letters, inputs["character_ids"])
    x = keras.layers.Concatenate(name="words")([words, letters])
    x = keras.layers.Dropout(settings.dropout, name="word_dropout")(x)
    # Masked steps do not change the state: backwards, a text starts after its padding.
    mask = ops.cast(inputs["padding_mask"], "bool")
    for index in range(settings.layers):
        cell = keras.layers.LSTM(settings.hidden, return_sequences=True, name=f"cell_{index}")
        x = keras.layers.Bidirectional(cell, name=f"both_ways_{index}")(x, mask=mask)
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
    return keras.Model(inputs, x, name="backbone")


def word_inputs(word_length: int) -> dict[str, keras.KerasTensor]:
    """``token_ids`` and ``padding_mask`` (batch, length), ``character_ids`` (batch, length,
    word length), all int32."""
    return {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "character_ids": keras.Input((None, word_length), dtype="int32", name="character_ids"),
        "padding_mask": keras.Input((None,), dtype="int32", name="padding_mask"),
    }


@keras.saving.register_keras_serializable("aitk.nlp")
class CharacterMaxima(keras.layers.Layer):
    """The maximum of each feature over the characters of a word, ignoring padding."""

    def call(self, features: Tensor, character_ids: Tensor) -> Tensor:
        # (batch, length, characters, filters), (batch, length, characters) -> without characters
        real = ops.expand_dims(ops.cast(character_ids > 0, features.dtype), -1)
        return ops.max(features * real, axis=2)  # features are not negative

    def compute_output_shape(self, features_shape: Shape, character_ids_shape: Shape) -> Shape:
        return (*features_shape[:2], features_shape[-1])
