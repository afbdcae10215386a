"""A bag of embedded units weighted by inverse document frequency, similar to fastText.

Joulin et al. 2016 (Bag of Tricks); Spärck Jones 1972 (inverse document frequency).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import BagSettings


def build_backbone(
    settings: BagSettings, vocabulary_size: int, *, classes: int | None = None
) -> keras.Model:
    """Token ids (batch, length) -> their embeddings (batch, length, hidden), independent of order.

    The dimension need not exceed the number of classes.
    """
    inputs = text_inputs()
    # From zero, so that units unseen in training (most hashed units) add no noise.
    embedding = keras.layers.Embedding(
        vocabulary_size,
        min(settings.hidden, classes or settings.hidden),
        embeddings_initializer="zeros",
        name="token_embedding",
    )
    rarity = Rarity(vocabulary_size, name="rarity")(inputs["token_ids"], inputs["padding_mask"])
    x = embedding(inputs["token_ids"]) * rarity
    # Whole units are dropped, not features (Iyyer et al. 2015), so that no single word dominates.
    x = keras.layers.Dropout(settings.dropout, noise_shape=(None, None, 1), name="word_dropout")(x)
    return keras.Model(inputs, x, name="backbone")


@keras.saving.register_keras_serializable("aitk.nlp")
class Rarity(keras.layers.Layer):
    """The inverse document frequency of each unit, scaled to mean square 1 in each text.

    ``token_ids`` and ``padding_mask`` (batch, length) -> weights (batch, length, 1). All units
    have the same weight until ``fill`` is called.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def build(self, token_ids_shape: Shape, padding_mask_shape: Shape) -> None:
        self.frequencies = self.add_weight(
            shape=(self.units,), initializer="ones", trainable=False, name="inverse_frequencies"
        )

    def fill(self, inverse_frequencies: np.ndarray) -> None:
        """Set the weights (units,)."""
        self.frequencies.assign(inverse_frequencies)

    def call(self, token_ids: Tensor, padding_mask: Tensor) -> Tensor:
        real = ops.cast(padding_mask, self.compute_dtype)
        weights = ops.take(self.frequencies, token_ids) * real
        count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
        squares = ops.sum(ops.square(weights), axis=1, keepdims=True)
        scale = ops.sqrt(count / ops.maximum(squares, 1))
        return ops.expand_dims(weights * scale, -1)

    def compute_output_shape(self, token_ids_shape: Shape, padding_mask_shape: Shape) -> Shape:
        return (*token_ids_shape, 1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}
