"""The inputs of every text model, and the heads on its backbone."""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor


def text_inputs() -> dict[str, keras.KerasTensor]:
    """``token_ids`` and ``padding_mask``, both int32 (batch, length)."""
    return {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }


@keras.saving.register_keras_serializable("aitk.nlp")
class HidePadding(keras.layers.Layer):
    """Set the features of padded positions to zero."""

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden)
        mask = ops.cast(padding_mask, sequence.dtype)
        return sequence * ops.expand_dims(mask, -1)

    def compute_output_shape(self, sequence_shape: Shape, padding_mask_shape: Shape) -> Shape:
        return sequence_shape


def classifier(
    backbone: keras.Model,
    *,
    classes: int,
    pooling: str,
    dropout: float,
    linear: bool = False,
    bias: float = 0.0,
) -> keras.Model:
    """Pool the features and add a linear head named ``head``.

    Args:
        backbone: ``token_ids`` and ``padding_mask`` to (batch, length, hidden), or to (batch,
            hidden) if it pools them itself.
        classes: number of logits.
        pooling: over the real tokens ``mean``, ``max``, or ``root`` (the sum divided by the root of
            their number, so that longer texts have larger features); or ``cls``, the first token.
        dropout: dropout rate of the pooled features.
        linear: the backbone only sums embeddings. Then no pooled feature is dropped, since many
            classes need each of them (the 150 classes of CLINC150 lost 5 points), and each class's
            weights keep the norm 1, so that only the embeddings learn the strength of evidence;
            otherwise they overfit within an epoch.
        bias: initial bias of each class.

    Returns:
        A functional model with the same inputs and float32 logits (batch, classes).
    """
    inputs = text_inputs()
    x = backbone(inputs)
    if len(x.shape) == 3:
        x = Pooling(pooling, name="pooling", dtype="float32")(x, inputs["padding_mask"])
    start = keras.initializers.Constant(bias)
    if linear:
        same = x.shape[-1] == classes  # one feature per class
        head = keras.layers.Dense(
            classes,
            kernel_initializer="identity" if same else "glorot_uniform",
            kernel_constraint=keras.constraints.UnitNorm(axis=0),
            bias_initializer=start,
            name="head",
            dtype="float32",
        )
    else:
        x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
        head = keras.layers.Dense(classes, bias_initializer=start, name="head", dtype="float32")
    logits = head(x)
    return keras.Model(inputs, logits, name="classifier")


@keras.saving.register_keras_serializable("aitk.nlp")
class Pooling(keras.layers.Layer):
    """Reduce a sequence to one vector, over real tokens only."""

    def __init__(self, how: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.how = how
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        return None  # the output is not a sequence

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, length) -> (batch, hidden)
        if self.how == "cls":
            return sequence[:, 0]
        mask = ops.expand_dims(ops.cast(padding_mask, sequence.dtype), -1)
        if self.how == "max":
            return ops.max(sequence * mask - (1 - mask) * 1e9, axis=1)
        total, count = ops.sum(sequence * mask, axis=1), ops.maximum(ops.sum(mask, axis=1), 1)
        return total / (ops.sqrt(count) if self.how == "root" else count)

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"how": self.how}


class OverBackbone(keras.Model):
    """A model defined by its backbone.

    A separate class, since a plain functional model does not preserve weights shared with a layer
    inside its backbone when it is saved.
    """

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.get_layer("backbone"))
        return {"name": self.name, "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(backbone, name=config["name"])


def token_embedding(backbone: keras.Model) -> Any:
    """The layer that embeds tokens: in our backbones and in wrapped Keras Hub ones."""
    for layer in backbone.layers:
        if layer.name == "token_embedding":
            return layer
        if getattr(layer, "token_embedding", None) is not None:
            return layer.token_embedding
    raise ValueError(f"{backbone.name} has no token_embedding")


class TiedLogits(keras.layers.Layer):
    """Score every token by its embedding (Press and Wolf 2017), plus a bias."""

    def __init__(self, embedding: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, features_shape: Shape, positions_shape: Shape) -> None:
        vocabulary_size = self.embedding.input_dim
        self.bias = self.add_weight(shape=(vocabulary_size,), initializer="zeros", name="bias")

    def call(self, features: Tensor, positions: Tensor) -> Tensor:
        # (batch, slots, hidden), (batch, slots) -> (batch, slots, vocabulary)
        # Keras Hub's larger decoders have a second table for the output.
        untied = getattr(self.embedding, "tie_weights", True) is False
        embedding = self.embedding
        table = embedding.reverse_embeddings if untied else ops.transpose(embedding.embeddings)
        logits = ops.matmul(features, ops.cast(table, features.dtype)) + self.bias
        used = ops.cast(positions > 0, logits.dtype)
        return logits * ops.expand_dims(used, -1)

    def compute_output_shape(self, features_shape: Shape, positions_shape: Shape) -> Shape:
        return (*features_shape[:-1], self.embedding.input_dim)
