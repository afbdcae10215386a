"""A bag of embedded units weighted by inverse document frequency, similar to fastText.

Joulin et al. 2016 (Bag of Tricks); Spärck Jones 1972 (inverse document frequency).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.core.layers.kernels import weighted_sums
from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import BagSettings


def build_backbone(
    settings: BagSettings, vocabulary_size: int, *, classes: int | None = None
) -> keras.Model:
    """Token ids (batch, length) -> the sum of their embeddings over the root of their number,
    (batch, hidden).

    The dimension need not exceed the number of classes.
    """
    inputs = text_inputs()
    weights = Rarity(vocabulary_size, name="rarity")(inputs["token_ids"], inputs["padding_mask"])
    # Whole units are dropped, not features (Iyyer et al. 2015): no single word decides alone.
    weights = keras.layers.Dropout(settings.dropout, name="word_dropout")(weights)
    hidden = min(settings.hidden, classes or settings.hidden)
    x = UnitSum(vocabulary_size, hidden, name="token_embedding", dtype="float32")(
        inputs["token_ids"], weights, inputs["padding_mask"]
    )
    return keras.Model(inputs, x, name="backbone")


@keras.saving.register_keras_serializable("aitk.nlp")
class UnitSum(keras.layers.Layer):
    """The weighted sum of the embeddings of a text's units, over the root of their number: a longer
    text has more to say.

    ``token_ids`` (batch, length), weights (batch, length, 1) and ``padding_mask`` (batch, length)
    -> (batch, hidden).
    """

    def __init__(self, units: int, hidden: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.hidden = units, hidden

    def build(
        self, token_ids_shape: Shape, weights_shape: Shape, padding_mask_shape: Shape
    ) -> None:
        # From zero, so that what training never showed (of hashed units: most) adds no noise.
        self.embeddings = self.add_weight(
            shape=(self.units, self.hidden), initializer="zeros", name="embeddings"
        )

    def call(
        self, token_ids: Tensor, weights: Tensor, padding_mask: Tensor, training: bool = False
    ) -> Tensor:
        real = ops.cast(padding_mask, self.compute_dtype)
        weights = ops.cast(weights, self.compute_dtype) * ops.expand_dims(real, -1)
        total = None
        if training:  # what is exported consists of the backend's own operations
            total = weighted_sums(self.embeddings, token_ids, weights[..., 0])
        if total is None:
            total = ops.sum(ops.take(self.embeddings, token_ids, axis=0) * weights, axis=1)
        count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
        return total / ops.sqrt(count)

    def compute_output_shape(
        self, token_ids_shape: Shape, weights_shape: Shape, padding_mask_shape: Shape
    ) -> Shape:
        return (token_ids_shape[0], self.hidden)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units, "hidden": self.hidden}


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
