"""A pre-norm transformer over a history of items (Xiong et al. 2020)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.contract.errors import UsageError
from aitk.core.layers import Shape, Tensor


def attention_layers(
    x: Tensor,
    history: Tensor,
    *,
    causal: bool,
    layers: int,
    heads: int,
    max_length: int,
    dropout: float,
    gated: bool = False,
) -> Tensor:
    """Vectors of a history (batch, length, hidden) -> features (batch, length, hidden).

    Args:
        history: item numbers (batch, length), left-padded with 0.
        causal: items attend only to themselves and older ones.
        max_length: maximum length of a history.
        dropout: dropout rate after each sublayer.
        gated: use LiGR layers (Borisyuk et al. 2025, section 3.2): the output of each sublayer is
            multiplied by a sigmoid gate of its input, and the feed-forward part is a SwiGLU.

    Raises:
        UsageError: the vector size is not a multiple of ``heads``.
    """
    if x.shape[-1] % heads:
        raise UsageError(
            f"{heads} attention heads do not divide {x.shape[-1]} features",
            where="heads",
            hint="Set hidden to a multiple of heads",
        )
    x = PositionsFromEnd(max_length, name="positions")(x, history)
    x = keras.layers.Dropout(dropout, name="item_dropout")(x)
    for index in range(layers):
        name = f"layer_{index}"
        y = _norm(f"{name}_attention_norm")(x)
        y = HistoryAttention(heads, causal=causal, name=f"{name}_attention")(y, history)
        x = _added(x, y, dropout, f"{name}_attention", gated=gated)
        y = _norm(f"{name}_dense_norm")(x)
        y = _swiglu(y, f"{name}_dense") if gated else _dense_part(y, f"{name}_dense")
        x = _added(x, y, dropout, f"{name}_dense", gated=gated)
    return _norm("final_norm")(x)


def _added(x: Tensor, y: Tensor, dropout: float, name: str, *, gated: bool) -> Tensor:
    """A part's output ``y`` added to its input ``x``."""
    if gated:
        gate = _dense(x.shape[-1], f"{name}_gate", activation="sigmoid")(x)
        y = keras.layers.Multiply(name=f"{name}_gated")([y, gate])
    y = keras.layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _dense_part(x: Tensor, name: str) -> Tensor:
    hidden = x.shape[-1]
    x = _dense(4 * hidden, f"{name}_in", activation="relu")(x)
    return _dense(hidden, f"{name}_out")(x)


def _swiglu(x: Tensor, name: str) -> Tensor:
    """A gated dense part (Shazeer 2020), of as many weights as the other: three matrices of 8/3."""
    hidden = x.shape[-1]
    inner = 8 * (-(-hidden // 3))
    open_share = _dense(inner, f"{name}_gate_in", activation="silu", use_bias=False)(x)
    x = _dense(inner, f"{name}_in", use_bias=False)(x)
    x = keras.layers.Multiply(name=f"{name}_inner")([x, open_share])
    return _dense(hidden, f"{name}_out", use_bias=False)(x)


@keras.saving.register_keras_serializable("aitk.recsys")
class PositionsFromEnd(keras.layers.Layer):
    """Add a learned embedding per position, counted from the newest item.

    The result is independent of the amount of padding.
    """

    def __init__(self, max_length: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_length = max_length

    def build(self, sequence_shape: Shape, history_shape: Shape) -> None:
        self.table = self.add_weight(
            shape=(self.max_length, sequence_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=sequence_shape[-1] ** -0.5),
            name="table",
        )

    def call(self, sequence: Tensor, history: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden), zero on padding
        newest = self.table[self.max_length - ops.shape(sequence)[1] :]
        used = ops.cast(ops.expand_dims(history > 0, -1), sequence.dtype)
        return (sequence + ops.cast(newest, sequence.dtype)) * used

    def compute_output_shape(self, sequence_shape: Shape, history_shape: Shape) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"max_length": self.max_length}


@keras.saving.register_keras_serializable("aitk.recsys")
class HistoryAttention(keras.layers.Layer):
    """Multi-head attention of a history to itself (Vaswani et al. 2017, section 3.2).

    Args:
        heads: how many there are.
        causal: an item sees those before it alone.
        head_size: features of each head; by default the input's are divided among them.
    """

    def __init__(self, heads: int, *, causal: bool, head_size: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.causal, self.head_size = heads, causal, head_size

    def build(self, sequence_shape: Shape, history_shape: Shape) -> None:
        hidden = sequence_shape[-1]
        inner = self.heads * (self.head_size or hidden // self.heads)
        for part in ("query", "key", "value"):
            dense = _dense(inner, part, dtype=self.dtype_policy)
            dense.build(sequence_shape)
            setattr(self, f"{part}_dense", dense)
        self.output_dense = _dense(hidden, "output", dtype=self.dtype_policy)
        self.output_dense.build((*sequence_shape[:-1], inner))

    def call(self, sequence: Tensor, history: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden)
        query = self._split(self.query_dense(sequence))
        key = self._split(self.key_dense(sequence))
        value = self._split(self.value_dense(sequence))
        query = query / ops.sqrt(ops.cast(query.shape[-1], query.dtype))
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key)  # (batch, heads, length, length)
        weights = ops.softmax(ops.cast(scores, "float32") + self._penalty(history), axis=-1)
        mixed = ops.einsum("bhqk,bkhd->bqhd", ops.cast(weights, value.dtype), value)
        inner = value.shape[-1] * self.heads
        return self.output_dense(ops.reshape(mixed, (-1, ops.shape(sequence)[1], inner)))

    def _split(self, x: Tensor) -> Tensor:
        # (batch, length, hidden) -> (batch, length, heads, hidden / heads)
        return ops.reshape(x, (-1, ops.shape(x)[1], self.heads, x.shape[-1] // self.heads))

    def _penalty(self, history: Tensor) -> Tensor:
        """Masks padding, and if causal, later items: (batch, 1, 1 or length, length)."""
        absent = ops.expand_dims(ops.cast(history == 0, "float32"), (1, 2))
        if self.causal:
            places = ops.arange(ops.shape(history)[1])
            later = ops.expand_dims(places, 1) < ops.expand_dims(places, 0)
            absent = ops.maximum(absent, ops.cast(later, "float32"))
        return absent * -1e9

    def compute_output_shape(self, sequence_shape: Shape, history_shape: Shape) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        own = {"heads": self.heads, "causal": self.causal, "head_size": self.head_size}
        return super().get_config() | own


def _dense(units: int, name: str, **kwargs: Any) -> keras.layers.Dense:
    return keras.layers.Dense(units, name=name, **kwargs)


def _norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)
