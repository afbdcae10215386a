"""Self-attention by content, or by content and distance.

Built from plain dense layers, so that adapters, quantisation and converters see only those. An
optional window limits attention to the step's own chunk and ``left`` steps before that chunk, which
allows streaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor

FAR = -1e9  # gives a key exactly zero weight


class HeadsLayer(keras.layers.Layer):
    """Common base of multi-head attention layers.

    Args:
        heads: number of heads that share the features.
    """

    parts: tuple[str, ...] = ("query", "key", "value", "output")

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def split(self, x: Tensor) -> Tensor:
        """(batch, steps, hidden) -> (batch, steps, heads, hidden / heads)."""
        return ops.reshape(x, (-1, ops.shape(x)[1], self.heads, x.shape[-1] // self.heads))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}


@keras.saving.register_keras_serializable("aitk.speech")
class SelfAttention(HeadsLayer):
    """Multi-head attention of a sequence to itself (Vaswani et al. 2017, section 3.2).

    Args:
        heads: number of heads that share the features.
        left: steps visible before the own chunk; None for all.
        chunk: steps per chunk, with ``left``.
    """

    def __init__(self, heads: int, left: int | None = None, chunk: int = 1, **kwargs: Any):
        super().__init__(heads, **kwargs)
        self.left, self.chunk = left, chunk

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        for part in self.parts:
            dense = keras.layers.Dense(sequence_shape[-1], name=part, dtype=self.dtype_policy)
            dense.build(sequence_shape)
            setattr(self, f"{part}_dense", dense)

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, steps, hidden), (batch, steps) -> (batch, steps, hidden)
        scores = self.scores(sequence)  # (batch, heads, steps, steps)
        scores = ops.cast(scores, "float32") + self._hidden(padding_mask)
        value = self.split(self.value_dense(sequence))
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        mixed = ops.einsum("bhqk,bkhd->bqhd", weights, value)
        return self.output_dense(ops.reshape(mixed, ops.shape(sequence)))

    def scores(self, sequence: Tensor) -> Tensor:
        """Attention scores of keys for queries: (batch, heads, queries, keys)."""
        query, key = self.split(self.query_dense(sequence)), self.split(self.key_dense(sequence))
        return ops.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5

    def _hidden(self, padding_mask: Tensor) -> Tensor:
        """The penalty on the scores of masked keys."""
        absent = _absent(padding_mask)
        if self.left is None:
            return absent * FAR
        step = ops.arange(ops.shape(padding_mask)[1], dtype="int32")
        start = ops.expand_dims(step // self.chunk * self.chunk, 1)  # of each query's chunk
        inside = ops.logical_and(step >= start - self.left, step < start + self.chunk)
        outside = ops.cast(ops.logical_not(inside), "float32")  # (queries, keys)
        return (absent + outside) * FAR

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"left": self.left, "chunk": self.chunk}


@keras.saving.register_keras_serializable("aitk.speech")
class RelativeSelfAttention(SelfAttention):
    """Attention by content and by distance (Dai et al. 2019, Transformer-XL, section 3.3)."""

    parts = ("query", "key", "value", "output", "position")

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        super().build(sequence_shape, padding_mask_shape)
        shape = (self.heads, sequence_shape[-1] // self.heads)
        for name in ("content_bias", "position_bias"):
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", name=name))

    def scores(self, sequence: Tensor) -> Tensor:
        """Attention scores of keys for queries: (batch, heads, queries, keys)."""
        steps = ops.shape(sequence)[1]
        query, key = self.split(self.query_dense(sequence)), self.split(self.key_dense(sequence))
        # Distances query - key from steps - 1 down to 1 - steps.
        distances = ops.cast(steps, "float32") - 1 - ops.arange(2 * steps - 1, dtype="float32")
        encoded = ops.cast(sinusoids(distances, sequence.shape[-1]), sequence.dtype)
        position = self.split(self.position_dense(ops.expand_dims(encoded, 0)))[0]
        by_content = ops.einsum("bqhd,bkhd->bhqk", query + self.content_bias, key)
        by_distance = ops.einsum("bqhd,phd->bhqp", query + self.position_bias, position)
        return (by_content + _shift(by_distance)) / query.shape[-1] ** 0.5


@keras.saving.register_keras_serializable("aitk.speech")
class CrossAttention(HeadsLayer):
    """Multi-head attention of one sequence to another (Vaswani et al. 2017, section 3.2.3)."""

    def build(
        self, sequence_shape: Shape, memory_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> None:
        for part in self.parts:
            dense = keras.layers.Dense(sequence_shape[-1], name=part, dtype=self.dtype_policy)
            dense.build(memory_shape if part in ("key", "value") else sequence_shape)
            setattr(self, f"{part}_dense", dense)

    def call(self, sequence: Tensor, memory: Mapping[str, Tensor], padding_mask: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, steps, hidden), (batch, steps) -> (batch, length, hidden)
        query, key = self.split(self.query_dense(sequence)), self.split(self.key_dense(memory))
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
        scores = ops.cast(scores, "float32") + _absent(padding_mask) * FAR
        value = self.split(self.value_dense(memory))
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        mixed = ops.einsum("bhqk,bkhd->bqhd", weights, value)
        return self.output_dense(ops.reshape(mixed, ops.shape(sequence)))

    def compute_output_shape(
        self,
        sequence_shape: Shape,
        memory_shape: Shape | None = None,
        padding_mask_shape: Shape | None = None,
    ) -> Shape:
        return sequence_shape


@keras.saving.register_keras_serializable("aitk.speech")
class SinusoidalPositions(keras.layers.Layer):
    """Add sinusoidal position encodings, for any length (Vaswani et al. 2017, section 3.5)."""

    def call(self, sequence: Tensor) -> Tensor:
        # (batch, steps, hidden) -> the same shape
        positions = ops.arange(ops.shape(sequence)[1], dtype="float32")
        return sequence + ops.cast(sinusoids(positions, sequence.shape[-1]), sequence.dtype)

    def compute_output_shape(self, sequence_shape: Shape) -> Shape:
        return sequence_shape


def sinusoids(positions: Tensor, hidden: int) -> Tensor:
    """Encode (n,) positions as (n, hidden): sines, then cosines."""
    exponents = ops.arange(0, hidden, 2, dtype="float32") / hidden
    angles = ops.expand_dims(positions, 1) * ops.power(10_000.0, -exponents)
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=1)[:, :hidden]


def _absent(padding_mask: Tensor) -> Tensor:
    """1 for padded keys: (batch, steps) -> (batch, 1, 1, steps)."""
    return ops.expand_dims(1 - ops.cast(padding_mask, "float32"), (1, 2))


def _shift(by_distance: Tensor) -> Tensor:
    """Align distances with keys (Dai et al. 2019, appendix B).

    (batch, heads, queries, 2 * queries - 1), in decreasing distance, -> (batch, heads, queries,
    keys): row q of the result starts at column queries - 1 - q of the input.
    """
    batch, heads, steps, width = ops.shape(by_distance)
    padded = ops.pad(by_distance, ((0, 0), (0, 0), (0, 0), (1, 0)))
    turned = ops.reshape(padded, (batch, heads, width + 1, steps))
    return ops.reshape(turned[:, :, 1:], (batch, heads, steps, width))[:, :, :, :steps]
