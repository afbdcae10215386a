"""A transformer encoder block of any number of heads, for networks from which some were pruned.

Keras Hub's own block divides the features among its heads, so that it cannot have fewer heads of
the same size.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor

MASKED = -1e9


@keras.saving.register_keras_serializable("aitk")
class NarrowEncoder(keras.layers.Layer):
    """Attention of a sequence to itself, then a feed-forward part (Vaswani et al. 2017).

    Args:
        heads: of the attention.
        head_size: features of a head.
        width: units of the feed-forward part.
        dropout: share of features dropped after each part.
        activation: of the feed-forward part.
        epsilon: of the norms.
        norm_first: norms stand before each part, not after it.
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        width: int,
        dropout: float = 0.0,
        activation: Any = "gelu",
        epsilon: float = 1e-5,
        norm_first: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.head_size, self.width = heads, head_size, width
        self.dropout, self.epsilon, self.norm_first = dropout, epsilon, norm_first
        self.activation = keras.activations.get(activation)
        self.supports_masking = True

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        hidden, inner = sequence_shape[-1], self.heads * self.head_size
        for part in ("query", "key", "value"):
            self._dense(part, inner, sequence_shape)
        self._dense("output", hidden, (*sequence_shape[:-1], inner))
        self._dense("in", self.width, sequence_shape, activation=self.activation)
        self._dense("out", hidden, (*sequence_shape[:-1], self.width))
        for part in ("attention", "dense"):
            norm = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name=f"{part}_norm", dtype=self.dtype_policy
            )
            norm.build(sequence_shape)
            setattr(self, f"{part}_norm", norm)
        self.drop = keras.layers.Dropout(self.dropout, name="dropout", dtype=self.dtype_policy)

    def _dense(self, part: str, units: int, shape: Shape, **kwargs: Any) -> None:
        dense = keras.layers.Dense(units, name=part, dtype=self.dtype_policy, **kwargs)
        dense.build(shape)
        setattr(self, f"{part}_dense", dense)

    def call(
        self, sequence: Tensor, padding_mask: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden)
        x = self.attention_norm(sequence) if self.norm_first else sequence
        x = sequence + self.drop(self._attend(x, padding_mask), training=training)
        if not self.norm_first:
            x = self.attention_norm(x)
        y = self.dense_norm(x) if self.norm_first else x
        y = x + self.drop(self.out_dense(self.in_dense(y)), training=training)
        return y if self.norm_first else self.dense_norm(y)

    def _attend(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        query, key, value = (
            ops.reshape(dense(x), (-1, ops.shape(x)[1], self.heads, self.head_size))
            for dense in (self.query_dense, self.key_dense, self.value_dense)
        )
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * self.head_size**-0.5
        scores = ops.cast(scores, "float32")  # (batch, heads, length, length)
        if padding_mask is not None:
            absent = 1 - ops.cast(padding_mask, "float32")
            scores = scores + ops.expand_dims(absent * MASKED, (1, 2))
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        mixed = ops.einsum("bhqk,bkhd->bqhd", weights, value)
        return self.output_dense(
            ops.reshape(mixed, (-1, ops.shape(x)[1], self.heads * self.head_size))
        )

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "heads": self.heads,
            "head_size": self.head_size,
            "width": self.width,
            "dropout": self.dropout,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "norm_first": self.norm_first,
        }


@keras.saving.register_keras_serializable("aitk")
class Bypass(keras.layers.Layer):
    """Stands where a block was taken out: hands its first input on."""

    def call(self, sequence: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        return sequence

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape
