"""Masked autoencoder of a vision transformer (He et al. 2022, section 3).

The encoder reads only the visible patches, a quarter of an image; a light decoder then sees all
positions, with one learned vector for the masked ones, and predicts their pixels.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras_hub.src.models.vit.vit_layers import ViTEncoder

from aitk.core.layers import Shape, Tensor

#: Layers of the backbone, as Keras Hub names them.
EMBEDDING, ENCODER = "vit_patching_and_embedding", "vit_encoder"
HEAD_WIDTH = 16  # channels of a head of the decoder's attention


def fill_in_tokens(
    backbone: keras.Model,
    image: keras.KerasTensor,
    visible: keras.KerasTensor,
    *,
    width: int,
    layers: int,
) -> keras.KerasTensor:
    """Features of every patch, computed from the visible ones.

    Args:
        backbone: ``models.vit``, without a class token; its layers are called one by one.
        image: (batch, height, width, 3) uint8.
        visible: (batch, shown) int32, numbers of the visible patches.
        width: channels of the decoder.
        layers: number of decoder layers.

    Returns:
        (batch, rows, columns, width).
    """
    embedding, encoder = backbone.get_layer(EMBEDDING), backbone.get_layer(ENCODER)
    rows, columns = backbone.output.shape[1:3]
    x = embedding(backbone.get_layer("normalise")(image))  # (batch, patches, hidden)
    x = TakePatches(name="take_patches")(x, visible)  # (batch, shown, hidden)
    x = encoder(x)
    x = keras.layers.Dense(width, name="decoder_in")(x)
    x = PutPatches(rows * columns, name="put_patches")(x, visible)  # (batch, patches, width)
    heads = max(1, width // HEAD_WIDTH)
    x = ViTEncoder(layers, heads, hidden_dim=width, mlp_dim=4 * width, name="decoder")(x)
    return keras.layers.Reshape((rows, columns, width), name="decoder_map")(x)


@keras.saving.register_keras_serializable("aitk.vision")
class TakePatches(keras.layers.Layer):
    """Select the vectors of some patches."""

    def call(self, tokens: Tensor, visible: Tensor) -> Tensor:
        # (batch, patches, channels), (batch, shown) -> (batch, shown, channels)
        # A product with zeros and ones is exact, and every converter supports it.
        return ops.matmul(marked(visible, tokens.shape[1], tokens.dtype), tokens)

    def compute_output_shape(self, tokens_shape: Shape, visible_shape: Shape) -> Shape:
        return (*visible_shape, tokens_shape[-1])


@keras.saving.register_keras_serializable("aitk.vision")
class PutPatches(keras.layers.Layer):
    """Scatter the vectors of some patches, with a learned vector in all other positions.

    A learned position embedding is added everywhere.
    """

    def __init__(self, patches: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.patches = patches

    def build(self, tokens_shape: Shape, visible_shape: Shape) -> None:
        normal = keras.initializers.TruncatedNormal(stddev=0.02)
        channels = tokens_shape[-1]
        self.hidden = self.add_weight(shape=(channels,), initializer=normal, name="hidden")
        self.positions = self.add_weight(
            shape=(self.patches, channels), initializer=normal, name="positions"
        )

    def call(self, tokens: Tensor, visible: Tensor) -> Tensor:
        # (batch, shown, channels), (batch, shown) -> (batch, patches, channels)
        places = marked(visible, self.patches, tokens.dtype)
        put = ops.matmul(ops.transpose(places, (0, 2, 1)), tokens)
        empty = 1 - ops.sum(places, axis=1)
        return put + ops.expand_dims(empty, -1) * self.hidden + self.positions

    def compute_output_shape(self, tokens_shape: Shape, visible_shape: Shape) -> Shape:
        return (tokens_shape[0], self.patches, tokens_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"patches": self.patches}


def marked(visible: Tensor, patches: int, dtype: str) -> Tensor:
    """One-hot encoding: (batch, shown) -> (batch, shown, patches)."""
    numbers = ops.arange(patches, dtype=visible.dtype)
    return ops.cast(ops.equal(ops.expand_dims(visible, -1), numbers), dtype)
