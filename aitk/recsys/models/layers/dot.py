"""Recommenders whose score is the dot product of user and item vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.scores import ItemScores, Popularity, sampled_logits
from aitk.recsys.models.layers.shape import ItemShape


@keras.saving.register_keras_serializable("aitk.recsys")
class DotModel(keras.Model):
    """A backbone that returns the vectors, and their dot products.

    Inputs: those of the backbone: ``history`` (batch, length), and optionally ``user`` (batch,).
    Output: float32 scores (batch, items), those of popularity for an unknown user without history.

    With further inputs ``positives`` (batch, slots), 0 for none, and ``negatives`` (batch, slots,
    count), the output is logits (batch, slots, 2): the positive, and its highest-scoring negative
    (dynamic negative sampling, Zhang et al. 2013, section 3). Without ``negatives``, some are
    sampled by popularity for the whole batch, with logQ correction, and the output is logits
    (batch, slots, 1 + count), column 0 the positive.

    Args:
        backbone: model from the inputs to user vectors (batch, hidden), table (items + 2, hidden).
        items: size of the catalogue.
        negatives: items sampled per batch, if the batch has none.
        l2: penalty of the vectors in use, if the batch has negatives.
    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        items: int,
        negatives: int = 0,
        l2: float = 0.0,
        **kwargs: Any,
    ):
        inputs = {
            spec.name: keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name)
            for spec in backbone.inputs
        }
        vectors, table = backbone(inputs)
        vectors = SquarePenalty(l2, name="penalty")(vectors)
        scores = ItemScores(items, name="scores")(vectors, table)
        scores = Popularity(items, dtype="float32", name="popularity")(
            scores, inputs["history"], inputs.get("user")
        )
        super().__init__(inputs, scores, **kwargs)
        self.items, self.negatives, self.l2 = items, negatives, l2

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if "positives" not in inputs:
            return super().call(inputs, training=training, mask=mask)
        backbone, scores = self.get_layer("backbone"), self.get_layer("scores")
        given = {name: ops.convert_to_tensor(inputs[name]) for name in self.input}
        vectors, table = backbone(given, training=training)
        vectors = ops.expand_dims(vectors, 1)  # (batch, 1, hidden)
        positives = inputs["positives"]
        if "negatives" not in inputs:
            return sampled_logits(
                scores,
                self.get_layer("popularity"),
                vectors,
                table,
                positives,
                count=self.negatives,
                uniform=False,
            )
        chosen = [positives, self._hardest(vectors, table, inputs["negatives"])]
        used = ops.cast(ops.not_equal(positives, 0), "float32")
        penalty = self.get_layer("penalty")
        vectors = penalty(vectors, ops.sum(used, axis=1, keepdims=True), training=training)
        logits = []
        for numbers in chosen:  # (batch, slots)
            items = penalty(ops.take(table, numbers, axis=0), used, training=training)
            logits.append(ops.sum(vectors * items, axis=-1))
        return ops.cast(ops.stack(logits, axis=-1), "float32")

    def _hardest(self, vectors: Tensor, table: Tensor, negatives: Tensor) -> Tensor:
        """The item numbers with the highest scores: (batch, slots, count) -> (batch, slots)."""
        # The selection has no gradient, and gathering from a variable has an expensive one.
        rows = ops.take(ops.stop_gradient(table), negatives, axis=0)
        scores = ops.sum(rows * ops.expand_dims(ops.stop_gradient(vectors), 1), axis=-1)
        highest = ops.expand_dims(ops.argmax(scores, axis=-1), -1)
        return ops.squeeze(ops.take_along_axis(negatives, highest, axis=-1), -1)

    def fill(self, shape: ItemShape) -> None:
        """Set the constants of the model to the counts and features of the catalogue."""
        for layer in (self.get_layer("popularity"), *self.get_layer("backbone").layers):
            if hasattr(layer, "fill"):
                layer.fill(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.get_layer("backbone")),
            "items": self.items,
            "negatives": self.negatives,
            "l2": self.l2,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DotModel:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config | {"backbone": backbone})


@keras.saving.register_keras_serializable("aitk.recsys")
class SquarePenalty(keras.layers.Layer):
    """Add a training loss: ``l2`` times the mean square norm of vectors.

    Call: vectors (..., hidden), and optionally their weights in the mean (...) -> the same vectors.
    """

    def __init__(self, l2: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.l2 = l2

    def call(
        self, vectors: Tensor, weights: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        if training and self.l2:
            squares = ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)
            if weights is None:
                weights = ops.ones_like(squares)
            mean = ops.sum(weights * squares) / ops.maximum(ops.sum(weights), 1e-9)
            self.add_loss(self.l2 * mean)
        return vectors

    def compute_output_shape(
        self, vectors_shape: Shape, weights_shape: Shape | None = None
    ) -> Shape:
        return vectors_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l2": self.l2}
