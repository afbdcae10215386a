"""A pre-norm transformer encoder (Xiong et al. 2020, figure 1b)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.heads import text_inputs
from aitk.nlp.tasks.settings import TransformerSettings

#: size -> (hidden, layers, heads). Tiny and base are the BERT sizes of Turc et al. 2019; small is
#: their "mini".
SIZES = {"tiny": (128, 2, 2), "small": (256, 4, 4), "base": (768, 12, 12)}


def build_backbone(
    settings: TransformerSettings,
    vocabulary_size: int,
    *,
    added: keras.layers.Layer | None = None,
) -> keras.Model:
    """Token ids (batch, length) -> contextual features (batch, length, hidden).

    Args:
        added: further embeddings computed from the inputs (``QuestionOverlap``).
    """
    hidden, layers, heads = SIZES[settings.size]
    inputs = text_inputs()
    x = keras.layers.Embedding(
        vocabulary_size, hidden, embeddings_initializer=_normal(), name="token_embedding"
    )(inputs["token_ids"])
    x = LearnedPositions(settings.max_length, name="positions")(x)
    if added is not None:
        x = added(x, inputs["token_ids"], inputs["padding_mask"])
    x = keras.layers.Dropout(settings.dropout, name="embedding_dropout")(x)
    for index in range(layers):
        attention = SelfAttention(heads, name=f"layer_{index}_attention")
        x = _attention_part(
            x, inputs["padding_mask"], attention, settings.dropout, f"layer_{index}"
        )
        x = _dense_part(x, settings.dropout, f"layer_{index}")
    x = _norm("final_norm")(x)
    return keras.Model(inputs, x, name="backbone")


def _attention_part(
    x: Tensor, padding_mask: Tensor, attention: SelfAttention, dropout: float, name: str
) -> Tensor:
    y = _norm(f"{name}_attention_norm")(x)
    y = attention(y, padding_mask)
    y = keras.layers.Dropout(dropout, name=f"{name}_attention_dropout")(y)
    return keras.layers.Add(name=f"{name}_attention_add")([x, y])


def _dense_part(x: Tensor, dropout: float, name: str) -> Tensor:
    hidden = x.shape[-1]
    y = _norm(f"{name}_dense_norm")(x)
    y = _dense(4 * hidden, f"{name}_dense_in", activation="gelu")(y)
    y = _dense(hidden, f"{name}_dense_out")(y)
    y = keras.layers.Dropout(dropout, name=f"{name}_dense_dropout")(y)
    return keras.layers.Add(name=f"{name}_dense_add")([x, y])


@keras.saving.register_keras_serializable("aitk.nlp")
class LearnedPositions(keras.layers.Layer):
    """Add a learned vector to each position, for texts of up to ``max_length`` tokens."""

    def __init__(self, max_length: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_length = max_length

    def build(self, input_shape: Shape) -> None:
        self.table = self.add_weight(
            shape=(self.max_length, input_shape[-1]), initializer=_normal(), name="table"
        )

    def call(self, sequence: Tensor) -> Tensor:
        # (batch, length, hidden) -> the same shape
        return sequence + self.table[: ops.shape(sequence)[1]]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"max_length": self.max_length}


@keras.saving.register_keras_serializable("aitk.nlp")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2).

    Made of plain dense layers, so that adapters, quantisation and converters need no special case.

    Args:
        heads: how many there are.
        head_size: features of each; by default the input's are divided among them.
    """

    def __init__(self, heads: int, head_size: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.head_size = heads, head_size

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        hidden = sequence_shape[-1]
        inner = self.heads * (self.head_size or hidden // self.heads)
        for part in ("query", "key", "value"):
            dense = _dense(inner, part, dtype=self.dtype_policy)
            dense.build(sequence_shape)
            setattr(self, f"{part}_dense", dense)
        self.output_dense = _dense(hidden, "output", dtype=self.dtype_policy)
        self.output_dense.build((*sequence_shape[:-1], inner))

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, length, hidden) -> the same shape
        query = self._split(self.query_dense(sequence))
        key = self._split(self.key_dense(sequence))
        value = self._split(self.value_dense(sequence))
        scale = 1 / (query.shape[-1] ** 0.5)
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * scale  # (batch, heads, length, length)
        scores = ops.cast(scores, "float32") + _penalty(padding_mask)
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        mixed = ops.einsum("bhqk,bkhd->bqhd", weights, value)
        inner = value.shape[-1] * self.heads
        return self.output_dense(ops.reshape(mixed, (-1, ops.shape(sequence)[1], inner)))

    def _split(self, x: Tensor) -> Tensor:
        # (batch, length, hidden) -> (batch, length, heads, hidden / heads)
        return ops.reshape(x, (-1, ops.shape(x)[1], self.heads, x.shape[-1] // self.heads))

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads, "head_size": self.head_size}


def _penalty(padding_mask: Tensor) -> Tensor:
    """Penalty that gives padded keys the weight 0: (batch, length) -> (batch, 1, 1, length)."""
    absent = 1 - ops.cast(padding_mask, "float32")
    return ops.expand_dims(absent * -1e9, (1, 2))


def _dense(units: int, name: str, **kwargs: Any) -> keras.layers.Dense:
    return keras.layers.Dense(units, kernel_initializer=_normal(), name=name, **kwargs)


def _norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)
