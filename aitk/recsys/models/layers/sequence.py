"""Next-item recommenders on any encoder of a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.item_table import ItemTable
from aitk.recsys.models.layers.scores import ItemScores, Popularity, sampled_logits
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import SequenceSettings

#: Share of items with features that a training step represents by features alone.
ID_DROPOUT = 0.2


def build_sequence_model(
    settings: SequenceSettings,
    shape: ItemShape,
    encode: Callable[[Any, Any], Any],
    *,
    masked: bool = False,
) -> SequenceModel:
    """A next-item model around an encoder.

    Args:
        encode: vectors (batch, length, hidden) and the history (batch, length) -> features
            (batch, length, hidden).
        masked: see ``SequenceModel``.
    """
    shape = shape.with_features(settings.features)
    history = keras.Input((None,), dtype="int32", name="history")
    items = ItemTable(
        shape.items, settings.hidden, widths=shape.widths, id_dropout=ID_DROPOUT, name="items"
    )
    vectors, table = items(history)
    backbone = keras.Model(history, [encode(vectors, history), table], name="backbone")
    model = SequenceModel(
        backbone,
        loss=settings.loss,
        negatives=settings.negatives,
        masked=masked,
        biased=True,
        scale=settings.start_scale,
    )
    model.fill(shape)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class SequenceModel(keras.Model):
    """A backbone with the item vectors as tied output layer.

    Input: ``history`` (batch, length), item numbers from 1, left-padded with 0. Output: float32
    scores (batch, items), those of popularity for an empty history.

    With a further input ``positives`` (batch, length), the target item at each position, 0 for
    none, the output is training logits: with the loss ``softmax`` (batch, length, items), else
    (batch, length, 1 + negatives), column 0 the positive, the others sampled for the whole batch:
    uniformly, or for ``sampled-softmax`` by popularity with logQ correction.

    Args:
        backbone: model from history to features (batch, length, hidden), table (items + 2, hidden).
        loss: one of ``SEQUENCE_LOSSES``.
        negatives: items sampled per batch.
        masked: the next item is predicted from a mask token at the end of the history (BERT4Rec),
            and training masks items of the history with the number items + 1.
        biased: items have biases initialised by popularity, which dominates in small logs.
        scale: initial scale of the scores relative to the biases; learned unless it is 1.
    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        loss: str,
        negatives: int,
        masked: bool = False,
        biased: bool = False,
        scale: float = 1.0,
        **kwargs: Any,
    ):
        items = backbone.get_layer("items").items
        history = keras.Input((None,), dtype="int32", name="history")
        asked = AppendNumber(items + 1, name="ask")(history) if masked else history
        features, table = backbone(asked)
        x = features[:, -1]  # (batch, hidden)
        if masked:
            x = keras.layers.Dense(x.shape[-1], activation="gelu", name="head_dense")(x)
            x = keras.layers.LayerNormalization(epsilon=1e-6, name="head_norm")(x)
        scores = ItemScores(items, bias=masked or biased, scale=scale, name="scores")(x, table)
        scores = Popularity(items, dtype="float32", name="popularity")(scores, history)
        super().__init__({"history": history}, scores, **kwargs)
        self.loss_name, self.negatives = loss, negatives
        self.masked, self.biased, self.scale = masked, biased, scale

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if "positives" not in inputs:
            return super().call(inputs, training=training, mask=mask)
        backbone, scores = self.get_layer("backbone"), self.get_layer("scores")
        features, table = backbone(inputs["history"], training=training)
        if self.masked:
            features = self.get_layer("head_norm")(self.get_layer("head_dense")(features))
        excluded = backbone.get_layer("items").excluded()
        if self.loss_name == "softmax":
            logits = scores(features, table)
            return logits if excluded is None else logits + excluded
        return sampled_logits(
            scores,
            self.get_layer("popularity"),
            features,
            table,
            inputs["positives"],
            count=self.negatives,
            uniform=self.loss_name != "sampled-softmax",
            excluded=excluded,
        )

    def fill(self, shape: ItemShape) -> None:
        """Set the constants of the model to the counts and features of the catalogue."""
        self.get_layer("backbone").get_layer("items").fill(shape)
        self.get_layer("popularity").fill(shape)
        if self.biased:
            self.get_layer("scores").start_from(shape.counts)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.get_layer("backbone")),
            "loss": self.loss_name,
            "negatives": self.negatives,
            "masked": self.masked,
            "biased": self.biased,
            "scale": self.scale,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SequenceModel:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config | {"backbone": backbone})


@keras.saving.register_keras_serializable("aitk.recsys")
class AppendNumber(keras.layers.Layer):
    """Append a number to each row: (batch, length) -> (batch, length + 1)."""

    def __init__(self, number: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.number = number

    def call(self, history: Tensor) -> Tensor:
        return ops.pad(history, [(0, 0), (0, 1)], constant_values=self.number)

    def compute_output_shape(self, history_shape: Shape) -> Shape:
        length = history_shape[1]
        return history_shape[0], None if length is None else length + 1

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"number": self.number}
