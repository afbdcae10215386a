"""Recommenders that score candidate items jointly with a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.scores import Popularity
from aitk.recsys.models.layers.shape import ItemShape


@dataclass(frozen=True)
class Ratings:
    """Statistics of the training ratings; the networks work in standardised units.

    ``users`` and ``items`` are biases relative to the mean, for models that start from them.
    """

    mean: float
    scale: float
    users: np.ndarray | None = None
    items: np.ndarray | None = None


@keras.saving.register_keras_serializable("aitk.recsys")
class CandidateModel(keras.Model):
    """A backbone that scores items, applied to the whole catalogue or, for ratings, to some items.

    The backbone maps ``user`` (batch,), ``history`` (batch, length), ``targets`` (batch, slots),
    and for ratings also ``history_weights`` (batch, length), to numbers (batch, slots).

    For recommendation, the inputs are ``user`` and ``history``, and the output is float32 scores
    (batch, items), those of popularity for an unknown user without history. With further inputs
    ``positives`` (batch, slots), 0 for none, and ``negatives`` (batch, slots, count), it is logits
    (batch, slots, 1 + count), column 0 the positive. For ratings, the output is the backbone's
    numbers in rating units, in training as well. Training histories must not contain the targets.

    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        items: int,
        ratings: Ratings | None = None,
        **kwargs: Any,
    ):
        inputs = {
            spec.name: keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name)
            for spec in backbone.inputs
        }
        if ratings is None:
            del inputs["targets"]
            asked = AllItems(items, name="all_items")(inputs["history"])
            scores = backbone(inputs | {"targets": asked})
            scores = keras.layers.Activation("linear", dtype="float32", name="scores")(scores)
            outputs = Popularity(items, dtype="float32", name="popularity")(
                scores, inputs["history"], inputs["user"]
            )
        else:
            outputs = Rescale(ratings.mean, ratings.scale, dtype="float32", name="scores")(
                backbone(inputs)
            )
        super().__init__(inputs, outputs, **kwargs)
        self.items, self.ratings = items, ratings

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if "positives" not in inputs:
            return super().call(inputs, training=training, mask=mask)
        right = ops.expand_dims(inputs["positives"], -1)
        asked = ops.concatenate([right, inputs["negatives"]], axis=-1)
        shape = ops.shape(asked)  # (batch, slots, 1 + count)
        given = {name: ops.convert_to_tensor(inputs[name]) for name in self.input}
        flat = ops.reshape(asked, (shape[0], shape[1] * shape[2]))
        logits = self.get_layer("backbone")(given | {"targets": flat}, training=training)
        return ops.cast(ops.reshape(logits, shape), "float32")

    def fill(self, shape: ItemShape) -> None:
        """Set the constants of the model to the counts and features of the catalogue."""
        for layer in (*self.layers, *self.get_layer("backbone").layers):
            if hasattr(layer, "fill"):
                layer.fill(shape)

    def get_config(self) -> dict[str, Any]:
        ratings = self.ratings and {"mean": self.ratings.mean, "scale": self.ratings.scale}
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.get_layer("backbone")),
            "items": self.items,
            "ratings": ratings,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CandidateModel:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        ratings = Ratings(**config["ratings"]) if config["ratings"] else None
        return cls(**config | {"backbone": backbone, "ratings": ratings})


@keras.saving.register_keras_serializable("aitk.recsys")
class AllItems(keras.layers.Layer):
    """All items as targets: (batch, length) -> the numbers 1 to items in each row."""

    def __init__(self, items: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items = items

    def call(self, history: Tensor) -> Tensor:
        numbers = ops.expand_dims(ops.arange(1, self.items + 1, dtype="int32"), 0)
        return ops.broadcast_to(numbers, (ops.shape(history)[0], self.items))

    def compute_output_spec(self, history: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((history.shape[0], self.items), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items}


@keras.saving.register_keras_serializable("aitk.recsys")
class Rescale(keras.layers.Layer):
    """From standardised units to ratings: ``scale * x + mean``."""

    def __init__(self, mean: float, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.mean, self.scale = mean, scale

    def call(self, values: Tensor) -> Tensor:
        return values * self.scale + self.mean

    def compute_output_shape(self, values_shape: Shape) -> Shape:
        return values_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": self.mean, "scale": self.scale}
