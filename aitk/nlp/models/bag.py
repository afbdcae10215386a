"""A bag of embedded units: fastText (Joulin et al. 2016, Bag of Tricks)."""

from __future__ import annotations

import keras

from aitk.nlp.models.inputs import text_inputs
from aitk.nlp.settings import BagSettings


def build_backbone(settings: BagSettings, vocabulary_size: int) -> keras.Model:
    """Token ids (batch, length) -> their embeddings (batch, length, hidden), in no order."""
    inputs = text_inputs()
    embedding = keras.layers.Embedding(vocabulary_size, settings.hidden, name="token_embedding")
    x = embedding(inputs["token_ids"])
    # Whole units are dropped, not features (Iyyer et al. 2015): no single word decides alone.
    x = keras.layers.Dropout(settings.dropout, noise_shape=(None, None, 1), name="word_dropout")(x)
    return keras.Model(inputs, x, name="backbone")
