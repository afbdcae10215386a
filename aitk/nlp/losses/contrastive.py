"""Losses of sentence encoders whose rows are pairs or triplets of texts.

A batch holds the texts of its rows in order, those of a row adjacent, so the model reads single
texts: outputs (rows * sides, dimension).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


@keras.saving.register_keras_serializable("aitk.nlp")
class MultipleNegatives(keras.losses.Loss):
    """Every text should be nearest to its partner in the batch.

    Cross-entropy over cosines / temperature (Henderson et al. 2017; Reimers and Gurevych 2019,
    sentence-transformers' multiple negatives ranking loss). The negatives of triplets are further
    candidates. With the same text twice, as two views by dropout, this is SimCSE (Gao et
    al. 2021, section 3).

    Args:
        sides: texts of a row, 2 or 3.
        temperature: divides the cosines.
    """

    def __init__(self, sides: int = 2, temperature: float = 0.05, **kwargs: Any):
        super().__init__(**kwargs)
        self.sides, self.temperature = sides, temperature

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """``y_true`` (rows * sides,): the index of the text among the distinct texts of the batch;
        an equal text of another row is not a negative."""
        vectors = unit_length(y_pred)
        parts = [vectors[side :: self.sides] for side in range(self.sides)]
        numbers = ops.reshape(y_true, (-1,))
        own = numbers[1 :: self.sides]  # (rows,)
        candidates = ops.concatenate(parts[1:], axis=0)  # (rows * (sides - 1), dimension)
        others = ops.concatenate([numbers[side :: self.sides] for side in range(1, self.sides)])
        logits = ops.matmul(parts[0], ops.transpose(candidates)) / self.temperature
        rows, every = ops.shape(own)[0], ops.shape(others)[0]
        diagonal = ops.eye(rows, every, dtype="float32")
        equal = ops.cast(ops.equal(own[:, None], others[None, :]), "float32")
        logits = logits - 1e9 * equal * (1 - diagonal)
        losses = ops.logsumexp(logits, axis=1) - ops.sum(logits * diagonal, axis=1)
        return ops.repeat(losses, self.sides)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"sides": self.sides, "temperature": self.temperature}


@keras.saving.register_keras_serializable("aitk.nlp")
class CosineRegression(keras.losses.Loss):
    """The cosine of a pair should equal its score, scaled to 0..1: squared error (Reimers and
    Gurevych 2019, section 3, regression objective)."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """``y_true`` (pairs * 2,): the score of each pair, once per text."""
        vectors = unit_length(y_pred)
        cosines = ops.sum(vectors[0::2] * vectors[1::2], axis=-1)
        wanted = ops.reshape(y_true, (-1,))[0::2]
        return ops.repeat(ops.square(cosines - wanted), 2)


@keras.saving.register_keras_serializable("aitk.nlp")
class CosineRanking(keras.losses.Loss):
    """Of any two pairs of a batch, the one with the higher score should have the higher cosine.

    log(1 + sum of exp((lower one's cosine - higher one's) / temperature)), over all such pairs of
    pairs: the CoSENT loss (Su 2022; sentence-transformers). Only the order of the scores matters,
    as for Spearman's correlation.

    Args:
        temperature: divides the cosines.
    """

    def __init__(self, temperature: float = 0.05, **kwargs: Any):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """``y_true`` (pairs * 2,): the score of each pair, once per text."""
        vectors = unit_length(y_pred)
        cosines = ops.sum(vectors[0::2] * vectors[1::2], axis=-1) / self.temperature
        scores = ops.reshape(y_true, (-1,))[0::2]
        # (pairs, pairs): excess of pair i over pair j, counted where j should be higher.
        above = cosines[:, None] - cosines[None, :]
        ordered = ops.cast(scores[:, None] < scores[None, :], "float32")
        above = ops.reshape(above - 1e9 * (1 - ordered), (-1,))
        loss = ops.logaddexp(ops.logsumexp(above), 0.0)
        return ops.zeros_like(ops.reshape(y_true, (-1,))) + loss

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"temperature": self.temperature}


def unit_length(vectors: Tensor) -> Tensor:
    """(n, dimension) float32 of length 1."""
    vectors = ops.cast(vectors, "float32")
    lengths = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / ops.maximum(lengths, 1e-9)
