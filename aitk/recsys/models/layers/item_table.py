"""Item vectors: a learned embedding plus projected features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.shape import ItemShape

#: Score of excluded items, in rankings and in losses.
NEVER = -1e9


@keras.saving.register_keras_serializable("aitk.recsys")
class ItemTable(keras.layers.Layer):
    """The vectors of all items, and lookup for a history.

    Call: numbers (batch, length) -> vectors (batch, length, width), zero for padding, and the whole
    table (items + 2, width). Row 0 is padding and the last row is the mask token.

    An item's vector is its learned embedding plus the mean of its features, each projected by a
    dense layer; missing features are ignored. With ``separate``, they are concatenated instead,
    ``hidden`` values each. An item with features but without training events uses its features
    alone. ``id_dropout`` drops the embedding of that share of the items with features in training,
    so that features become sufficient alone.
    """

    def __init__(
        self,
        items: int,
        hidden: int,
        *,
        widths: Mapping[str, int] | None = None,
        separate: bool = False,
        id_dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.items, self.hidden = items, hidden
        self.widths = dict(widths or {})
        self.separate, self.id_dropout = separate, id_dropout
        self.seeds = keras.random.SeedGenerator()

    @property
    def width(self) -> int:
        """Number of values per table row."""
        return self.hidden * (1 + len(self.widths) if self.separate else 1)

    def build(self, numbers_shape: Shape) -> None:
        rows = self.items + 2
        # Small initial vectors, as in BERT, keep a narrow model at item popularity for long.
        normal = keras.initializers.RandomNormal(stddev=self.hidden**-0.5)
        self.vectors = self.add_weight(
            shape=(rows, self.hidden), initializer=normal, name="item_vectors"
        )
        self.denses, self.matrices, self.presences = {}, {}, {}
        if self.widths:
            self.own = self._constant((rows, 1), "own", initializer="ones")
        for name, width in self.widths.items():
            dense = keras.layers.Dense(self.hidden, name=f"dense_{name}", dtype=self.dtype_policy)
            dense.build((rows, width))
            self.denses[name] = dense
            self.matrices[name] = self._constant((rows, width), f"matrix_{name}")
            self.presences[name] = self._constant((rows, 1), f"present_{name}")

    def _constant(self, shape: tuple[int, ...], name: str, initializer: str = "zeros") -> Tensor:
        return self.add_weight(shape=shape, initializer=initializer, trainable=False, name=name)

    def fill(self, shape: ItemShape) -> None:
        """Set the constants of the layer to the features of a catalogue."""
        featured = np.zeros((self.items + 2, 1), bool)
        for name in self.widths:
            matrix = np.pad(np.asarray(shape.features[name], np.float32), ((1, 1), (0, 0)))
            present = np.any(matrix != 0, axis=1, keepdims=True)
            self.matrices[name].assign(matrix)
            self.presences[name].assign(present.astype(np.float32))
            featured |= present
        if self.widths:
            trained = np.pad(shape.counts > 0, 1, constant_values=True)[:, None]
            self.own.assign((trained | ~featured).astype(np.float32))

    def call(self, numbers: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        table = ops.convert_to_tensor(self.vectors, dtype=self.compute_dtype)
        if self.widths:
            table = self._with_features(table, training)
        used = ops.cast(ops.expand_dims(numbers > 0, -1), table.dtype)
        return ops.take(table, numbers, axis=0) * used, table

    def _with_features(self, vectors: Tensor, training: bool | None) -> Tensor:
        parts = {name: ops.cast(self.presences[name], vectors.dtype) for name in self.widths}
        count = sum(parts.values())  # (items + 2, 1)
        own = ops.cast(self.own, vectors.dtype)
        if training and self.id_dropout:
            chance = keras.random.uniform(ops.shape(own), seed=self.seeds)
            kept = ops.logical_or(chance >= self.id_dropout, count == 0)
            own = own * ops.cast(kept, own.dtype)
        projections = [self.denses[name](self.matrices[name]) * parts[name] for name in self.widths]
        if self.separate:
            return ops.concatenate([vectors * own, *projections], axis=-1)
        return vectors * own + sum(projections) / ops.maximum(count, 1)

    def excluded(self) -> Tensor | None:
        """Penalty on training scores (items,): ``NEVER`` for items with features alone.

        As negatives they would teach that similar items are unwanted. None without features.

        """
        if not self.widths:
            return None
        return (1 - ops.cast(self.own, "float32")[1 : self.items + 1, 0]) * NEVER

    def compute_output_spec(
        self, numbers: Tensor, training: bool | None = None
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return (
            keras.KerasTensor((*numbers.shape, self.width), dtype=self.compute_dtype),
            keras.KerasTensor((self.items + 2, self.width), dtype=self.compute_dtype),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "items": self.items,
            "hidden": self.hidden,
            "widths": self.widths,
            "separate": self.separate,
            "id_dropout": self.id_dropout,
        }
