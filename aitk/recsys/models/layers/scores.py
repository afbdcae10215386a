"""From vectors to item scores, and to training logits."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.item_table import NEVER
from aitk.recsys.models.layers.shape import ItemShape


@keras.saving.register_keras_serializable("aitk.recsys")
class ItemScores(keras.layers.Layer):
    """Score every item by the dot product with its vector (Press and Wolf 2017).

    Call: features (..., hidden), table (items + 2, hidden) -> float32 (..., items).

    Args:
        bias: whether items have a bias.
        scale: initial factor of the products. Unless it is 1, it is learned, as in ReZero
            (Bachlechner et al. 2021): a small one lets a model start from its biases.
    """

    def __init__(self, items: int, *, bias: bool = False, scale: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.use_bias, self.start_scale = items, bias, scale

    def build(self, features_shape: Shape, table_shape: Shape) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.items,), initializer="zeros", name="item_bias", autocast=False
            )
        if self.start_scale != 1:
            start = keras.initializers.Constant(self.start_scale)
            self.scale = self.add_weight(shape=(), initializer=start, name="scale", autocast=False)

    def start_from(self, counts: np.ndarray) -> None:
        """Initialise the biases to the logarithms of the items' events plus one."""
        logs = np.log1p(np.asarray(counts, np.float32))
        self.bias.assign(logs - logs.mean())

    def call(self, features: Tensor, table: Tensor) -> Tensor:
        return self._product(features, table[1 : self.items + 1], ops.arange(1, self.items + 1))

    def of_shared(self, features: Tensor, table: Tensor, numbers: Tensor) -> Tensor:
        """Scores of a common set of items: (..., hidden), (count,) -> (..., count)."""
        return self._product(features, ops.take(table, numbers, axis=0), numbers)

    def of_each(self, features: Tensor, table: Tensor, numbers: Tensor) -> Tensor:
        """Scores of different items per slot: (batch, slots, hidden), (batch, slots) -> these."""
        scores = ops.sum(features * ops.take(table, numbers, axis=0), axis=-1)
        return self._scaled(scores, numbers)

    def _product(self, features: Tensor, vectors: Tensor, numbers: Tensor) -> Tensor:
        return self._scaled(ops.matmul(features, ops.transpose(vectors)), numbers)

    def _scaled(self, scores: Tensor, numbers: Tensor) -> Tensor:
        scores = ops.cast(scores, "float32")
        if self.start_scale != 1:
            scores = scores * self.scale
        if self.use_bias:
            scores = scores + ops.take(self.bias, ops.maximum(numbers - 1, 0))
        return scores

    def compute_output_spec(self, features: Tensor, table: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((*features.shape[:-1], self.items), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        own = {"items": self.items, "bias": self.use_bias, "scale": self.start_scale}
        return super().get_config() | own


@keras.saving.register_keras_serializable("aitk.recsys")
class Popularity(keras.layers.Layer):
    """Item popularity: the fallback scores for an unknown user without history.

    Call: scores (batch, items), history (batch, length), and optionally user (batch,) -> scores.
    """

    def __init__(self, items: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items = items
        self.seeds = keras.random.SeedGenerator()

    def build(
        self, scores_shape: Shape, history_shape: Shape, user_shape: Shape | None = None
    ) -> None:
        self.counts = self.add_weight(
            shape=(self.items,), initializer="ones", trainable=False, name="counts", autocast=False
        )

    def fill(self, shape: ItemShape) -> None:
        """Set the layer's constant to the event counts of a catalogue."""
        self.counts.assign(np.asarray(shape.counts, np.float32))

    def call(self, scores: Tensor, history: Tensor, user: Tensor | None = None) -> Tensor:
        known = ops.any(history > 0, axis=1)
        if user is not None:
            known = ops.logical_or(known, user > 0)
        popular = ops.expand_dims(ops.log1p(ops.convert_to_tensor(self.counts)), 0)
        return ops.where(ops.expand_dims(known, -1), scores, popular)

    def draw(self, count: int, *, uniform: bool) -> Tensor:
        """Sample item numbers from 1 with replacement, uniformly or by events: (count,) int32."""
        if uniform:
            return keras.random.randint((count,), 1, self.items + 1, seed=self.seeds)
        sums = ops.cumsum(ops.convert_to_tensor(self.counts))
        at = keras.random.uniform((count,), seed=self.seeds, dtype="float32") * sums[-1]
        found = ops.cast(ops.searchsorted(sums, at, side="right"), "int32")
        return ops.minimum(found, self.items - 1) + 1

    def log_share(self, numbers: Tensor) -> Tensor:
        """The log of the items' share of events, numbers from 1."""
        counts = ops.convert_to_tensor(self.counts)
        return ops.log(ops.take(ops.maximum(counts, 1e-9), numbers - 1) / ops.sum(counts))

    def compute_output_shape(
        self, scores_shape: Shape, history_shape: Shape, user_shape: Shape | None = None
    ) -> Shape:
        return scores_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items}


def sampled_logits(
    scores: ItemScores,
    popularity: Popularity,
    features: Any,
    table: Any,
    positives: Any,
    *,
    count: int,
    uniform: bool,
    excluded: Any = None,
) -> Any:
    """Logits of the positive items and of negatives sampled for the whole batch.

    With sampling by popularity, each logit is corrected by the log of its expected count in the
    sample (logQ correction, Bengio and Senecal 2008; Yi et al. 2019). The positive item is always
    present and is not corrected.

    Args:
        features: (batch, slots, hidden), or one slot for all.
        table: (items + 2, hidden).
        positives: (batch, slots), numbers from 1, 0 for none.
        excluded: (items,) penalty on the scores of sampled items.

    Returns:
        float32 (batch, slots, 1 + count), column 0 the positive item.
    """
    drawn = popularity.draw(count, uniform=uniform)
    right = scores.of_each(features, table, positives)  # (batch, slots)
    wrong = scores.of_shared(features, table, drawn)  # (batch, slots or 1, count)
    if not uniform:
        wrong = wrong - popularity.log_share(drawn) - math.log(count)
    if excluded is not None:
        wrong = wrong + ops.take(excluded, drawn - 1)
    same = ops.expand_dims(ops.cast(positives, "int32"), -1) == drawn
    wrong = ops.where(same, NEVER, wrong)
    return ops.concatenate([ops.expand_dims(right, -1), wrong], axis=-1)
