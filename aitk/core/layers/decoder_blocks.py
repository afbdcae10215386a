"""Transformer blocks; the decoder can run one token at a time with cached keys and values.

Built from plain dense layers, so that adapters, quantisation and converters see only those. Layers
are pre-norm (Xiong et al. 2020, figure 1b). Caches are (rows, heads, length, size).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor

#: Added to the attention scores of masked keys.
MASKED = -1e9


@keras.saving.register_keras_serializable("aitk")
class CachedAttention(keras.layers.Layer):
    """Multi-head attention to a sequence or a memory (Vaswani et al. 2017, section 3.2).

    Args:
        heads: number of heads that share the features.
        rotary: use rotary position embeddings (Su et al. 2021, RoFormer).
    """

    def __init__(self, heads: int, rotary: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.rotary = heads, rotary

    def build(self, queries_shape: Shape, source_shape: Shape | None = None) -> None:
        hidden = queries_shape[-1]
        source_shape = source_shape or queries_shape
        for part in ("query", "key", "value", "output"):
            dense = keras.layers.Dense(hidden, name=part, dtype=self.dtype_policy)
            dense.build(source_shape if part in ("key", "value") else queries_shape)
            setattr(self, f"{part}_dense", dense)

    def call(self, queries: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        # (batch, queries, hidden), (batch, keys, hidden) -> (batch, queries, hidden)
        keys, values = self.keys_values(source)
        return self.attend(queries, keys, values, mask)

    def keys_values(self, source: Tensor, place: Tensor | int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of a source whose first position is ``place``."""
        keys, values = self._split(self.key_dense(source)), self._split(self.value_dense(source))
        return (rotate(keys, place) if self.rotary else keys), values

    def attend(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        place: Tensor | int = 0,
    ) -> Tensor:
        """Attention to given keys and values.

        Args:
            mask: float, broadcast to (rows, heads, queries, keys), added to the scores.
            place: position of the first query.
        """
        shape = ops.shape(queries)
        query = self._split(self.query_dense(queries))
        query = rotate(query, place) if self.rotary else query
        query = query * query.shape[-1] ** -0.5
        scores = ops.cast(ops.matmul(query, ops.swapaxes(keys, 2, 3)), "float32")
        if mask is not None:
            scores = scores + ops.cast(mask, "float32")
        weights = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
        mixed = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        return self.output_dense(ops.reshape(mixed, shape))

    def weigh(self, queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """Only the attention weights, float32 (rows, heads, queries, keys)."""
        query = self._split(self.query_dense(queries))
        query = query * query.shape[-1] ** -0.5
        scores = ops.cast(ops.matmul(query, ops.swapaxes(keys, 2, 3)), "float32")
        return ops.softmax(scores if mask is None else scores + ops.cast(mask, "float32"), axis=-1)

    def _split(self, x: Tensor) -> Tensor:
        # (batch, length, hidden) -> (batch, heads, length, hidden / heads)
        x = ops.reshape(x, (-1, ops.shape(x)[1], self.heads, x.shape[-1] // self.heads))
        return ops.transpose(x, (0, 2, 1, 3))

    def compute_output_shape(
        self,
        queries_shape: Shape,
        source_shape: Shape | None = None,
        mask_shape: Shape | None = None,
    ) -> Shape:
        return queries_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads, "rotary": self.rotary}


class _Block(keras.layers.Layer):
    """Common base of encoder and decoder blocks: norms, a feed-forward layer, dropout."""

    def __init__(
        self,
        heads: int,
        width: int,
        dropout: float,
        rotary: bool = False,
        activation: str = "relu",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.width, self.dropout, self.rotary = heads, width, dropout, rotary
        self.activation = activation

    def build_parts(self, shape: Shape, *, attentions: tuple[str, ...]) -> None:
        for name in attentions:
            attention = CachedAttention(
                self.heads,
                rotary=self.rotary and name == "own",
                name=f"{name}_attention",
                dtype=self.dtype_policy,
            )
            attention.build(shape)
            setattr(self, f"{name}_attention", attention)
        for name in (*attentions, "dense"):
            norm = keras.layers.LayerNormalization(
                epsilon=1e-6, name=f"{name}_norm", dtype=self.dtype_policy
            )
            norm.build(shape)
            setattr(self, f"{name}_norm", norm)
        hidden = shape[-1]
        self.dense_in = keras.layers.Dense(
            self.width, activation=self.activation, name="dense_in", dtype=self.dtype_policy
        )
        self.dense_in.build(shape)
        self.dense_out = keras.layers.Dense(hidden, name="dense_out", dtype=self.dtype_policy)
        self.dense_out.build((*shape[:-1], self.width))
        self.drop = keras.layers.Dropout(self.dropout, name="dropout")

    def add_dense(self, x: Tensor, training: bool | None = None) -> Tensor:
        y = self.dense_out(self.dense_in(self.dense_norm(x)))
        return x + self.drop(y, training=training)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "heads": self.heads,
            "width": self.width,
            "dropout": self.dropout,
            "rotary": self.rotary,
            "activation": self.activation,
        }


@keras.saving.register_keras_serializable("aitk")
class EncoderBlock(_Block):
    """Self-attention, then a feed-forward layer.

    Args:
        heads: number of attention heads.
        width: units of the feed-forward layer.
        dropout: dropout rate after each sublayer (Vaswani et al. 2017, section 5.4).
        rotary: use rotary position embeddings.
        activation: activation of the feed-forward layer.
    """

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        self.build_parts(sequence_shape, attentions=("own",))

    def call(self, sequence: Tensor, padding_mask: Tensor, training: bool | None = None) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden)
        y = self.own_norm(sequence)
        y = self.own_attention(y, y, padding_penalty(padding_mask))
        return self.add_dense(sequence + self.drop(y, training=training), training=training)

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape


@keras.saving.register_keras_serializable("aitk")
class DecoderBlock(_Block):
    """Causal self-attention, optional cross-attention, then a feed-forward layer.

    Args:
        crosses: whether it attends to a memory, the output of an encoder.
    """

    def __init__(self, *args: Any, crosses: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.crosses = crosses

    def build(
        self,
        sequence_shape: Shape,
        memory_shape: Shape | None = None,
        padding_mask_shape: Shape | None = None,
    ) -> None:
        self.build_parts(sequence_shape, attentions=("own", "cross") if self.crosses else ("own",))

    def call(
        self,
        sequence: Tensor,
        memory: Tensor | None = None,
        padding_mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        # (batch, length, hidden), (batch, source, hidden), (batch, source)
        length = ops.shape(sequence)[1]
        y = self.own_norm(sequence)
        y = self.own_attention(y, y, later_penalty(length, length))
        x = sequence + self.drop(y, training=training)
        if self.crosses:
            y = self.cross_norm(x)
            y = self.cross_attention(y, memory, padding_penalty(padding_mask))
            x = x + self.drop(y, training=training)
        return self.add_dense(x, training=training)

    def step(
        self,
        x: Tensor,
        place: Tensor | int,
        cache: tuple[Tensor, Tensor],
        memory: tuple[Tensor, Tensor] | None = None,
        penalty: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The features of new tokens, given the keys and values of preceding ones.

        Args:
            x: (rows, new, hidden).
            place: position of the first new token.
            cache: keys and values (rows, heads, length, size), filled up to ``place``.
            memory: keys and values of the encoder's output.
            penalty: see ``padding_penalty``.

        Returns:
            (rows, new, hidden), and the cache including the new tokens.
        """
        y = self.own_norm(x)
        new = self.own_attention.keys_values(y, place)
        keys, values = (put(old, each, place) for old, each in zip(cache, new, strict=True))
        later = later_penalty(ops.shape(x)[1], ops.shape(keys)[2], place)
        x = x + self.own_attention.attend(y, keys, values, later, place=place)
        if memory is not None:
            x = x + self.cross_attention.attend(self.cross_norm(x), *memory, penalty)
        return self.add_dense(x), (keys, values)

    def look(self, sequence: Tensor, memory: Tensor, padding_mask: Tensor) -> Tensor:
        """Cross-attention weights, averaged over the heads: (batch, length, source)."""
        length = ops.shape(sequence)[1]
        y = self.own_norm(sequence)
        x = sequence + self.own_attention(y, y, later_penalty(length, length))
        keys, _ = self.cross_attention.keys_values(memory)
        penalty = padding_penalty(padding_mask)
        return ops.mean(self.cross_attention.weigh(self.cross_norm(x), keys, penalty), axis=1)

    def empty_cache(self, rows: Tensor, length: Tensor, hidden: int) -> list[Tensor]:
        """Empty keys and values for up to ``length`` tokens."""
        shape = (rows, self.heads, length, hidden // self.heads)
        return [ops.zeros(shape, self.compute_dtype) for _ in range(2)]

    def compute_output_shape(
        self,
        sequence_shape: Shape,
        memory_shape: Shape | None = None,
        padding_mask_shape: Shape | None = None,
    ) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"crosses": self.crosses}


@keras.saving.register_keras_serializable("aitk")
class SinePositions(keras.layers.Layer):
    """Scale embeddings and add sinusoidal positions (Vaswani et al. 2017, section 3.5)."""

    def call(self, sequence: Tensor, place: Tensor | int = 0) -> Tensor:
        # (batch, length, hidden) -> the same shape
        hidden = sequence.shape[-1]
        angles = _angles(ops.shape(sequence)[1], hidden // 2, place)
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
        return sequence * hidden**0.5 + ops.cast(waves, sequence.dtype)

    def compute_output_shape(
        self, sequence_shape: Shape, place_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape


def rotate(x: Tensor, place: Tensor | int = 0) -> Tensor:
    """Rotate feature pairs of (rows, heads, length, size) by position, starting at ``place``."""
    half = x.shape[-1] // 2
    angles = _angles(ops.shape(x)[2], half, place)
    sine, cosine = ops.cast(ops.sin(angles), x.dtype), ops.cast(ops.cos(angles), x.dtype)
    first, second = x[..., :half], x[..., half:]
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return ops.concatenate(turned, axis=-1)


def put(cache: Tensor, new: Tensor, place: Tensor | int) -> Tensor:
    """Write (rows, heads, new, size) into (rows, heads, length, size) at ``place``."""
    places = ops.arange(ops.shape(cache)[2])[:, None]
    if new.shape[2] == 1:
        return ops.where(places == place, new, cache)
    count = ops.shape(new)[2]
    source = ops.clip(places[:, 0] - place, 0, count - 1)
    here = ops.logical_and(places >= place, places < place + count)
    return ops.where(here, ops.take(new, source, axis=2), cache)


def later_penalty(queries: Tensor, keys: Tensor, place: Tensor | int = 0) -> Tensor:
    """Mask of later keys, (queries, keys); the first query is at ``place``."""
    later = ops.arange(keys)[None, :] > ops.arange(queries)[:, None] + place
    return ops.cast(later, "float32") * MASKED


def padding_penalty(padding_mask: Tensor) -> Tensor:
    """Mask of padded keys: (batch, length) -> (batch, 1, 1, length)."""
    absent = 1 - ops.cast(padding_mask, "float32")
    return ops.expand_dims(absent * MASKED, (1, 2))


def _angles(length: Tensor, half: int, place: Tensor | int) -> Tensor:
    """Position times frequency, (length, half) float32."""
    frequencies = 10000.0 ** (-ops.arange(half, dtype="float32") / half)
    positions = ops.cast(ops.arange(length) + place, "float32")
    return positions[:, None] * frequencies[None, :]
