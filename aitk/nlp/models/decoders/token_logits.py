"""Token logits from tied embeddings, for whole sequences and incremental decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor


class TokenLogits(keras.layers.Layer):
    """Logits of tokens by a shared embedding (Press and Wolf 2017), plus a bias.

    The product is computed in the layer's compute dtype, the result is float32.
    """

    def __init__(self, embedding: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, features_shape: Shape) -> None:
        size = self.embedding.input_dim
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")

    def call(self, features: Tensor) -> Tensor:
        # (batch, length, hidden) -> (batch, length, vocabulary)
        table = ops.cast(self.embedding.embeddings, features.dtype)
        logits = ops.matmul(features, ops.transpose(table))
        return ops.cast(logits, "float32") + ops.cast(self.bias, "float32")

    def compute_output_spec(self, features: Tensor) -> keras.KerasTensor:
        shape = (*features.shape[:-1], self.embedding.input_dim)
        return keras.KerasTensor(shape, dtype="float32")


class WithHead:
    """A backbone's step and its head, as ``core.decoding.incremental.Incremental``.

    Args:
        step: ``start``, ``step``, shapes and dtype; with features instead of logits.
        head: features (rows, 1, hidden) to logits (rows, 1, vocabulary).
        start_shapes: input shapes of ``start``.
    """

    def __init__(self, step: Any, head: Callable[[Any], Any], start_shapes: Any):
        self._step, self._head = step, head
        self.start_shapes = start_shapes
        self.memory_shapes, self.cache_shapes = step.memory_shapes, step.cache_shapes
        self.compute_dtype = step.compute_dtype

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self._step.start(inputs, rows, length)

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        features, kept = self._step.step(token_ids, place, memory, cache)
        return self._head(features[:, -1:])[:, 0], kept
