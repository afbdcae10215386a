"""Heads for words and spans on any text backbone: one tag per word; start and end of an answer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.crf import Transitions
from aitk.nlp.models.decoders.language_models import TakeSlots
from aitk.nlp.models.heads import text_inputs


def word_tagger(
    backbone: keras.Model, *, tags: int, dropout: float, learned: bool, subwords: bool
) -> keras.Model:
    """Tag scores for every word, in the layout of ``crf``.

    Args:
        backbone: with features (batch, length, hidden) of words or subwords.
        tags: number of tags.
        dropout: dropout rate of the features.
        learned: whether the transitions between tags are trained.
        subwords: the backbone reads subwords; the input ``word_positions`` (batch, words) contains
            the position, from 1, of each word's first subword.
    """
    inputs = _inputs_of(backbone)
    x = backbone(inputs)
    if subwords:
        positions = keras.Input((None,), dtype="int32", name="word_positions")
        inputs = inputs | {"word_positions": positions}
        x = TakeSlots(name="words")(x, positions)  # (batch, words, hidden)
    if dropout:
        x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
    emissions = keras.layers.Dense(tags, name="head", dtype="float32")(x)
    scores = Transitions(learned, name="transitions", dtype="float32")(emissions)
    return keras.Model(inputs, scores, name="tagger")


def span_reader(backbone: keras.Model, *, dropout: float) -> keras.Model:
    """Start and end scores of an answer at every token: (batch, length, 2).

    The first token represents "no answer" (Devlin et al. 2018, section 4.3).
    """
    inputs = text_inputs()
    x = backbone(inputs)
    if dropout:
        x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
    scores = keras.layers.Dense(2, name="head", dtype="float32")(x)
    return keras.Model(inputs, scores, name="span_reader")


def _inputs_of(backbone: keras.Model) -> dict[str, Any]:
    """New inputs equal to those of a backbone."""
    return {
        spec.name: keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name)
        for spec in backbone.inputs
    }


class SpanLoss(keras.losses.Loss):
    """Cross-entropy of the start and of the end (Seo et al. 2017, section 2).

    Targets are (batch, length, 2): the probabilities of a token as start and as end; -1
    where it cannot be one (the question, padding).
    """

    def __init__(self, name: str = "span_loss"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, length, 2) twice -> (batch,)
        wanted = ops.cast(y_true, "float32")
        allowed = ops.cast(wanted >= 0, "float32")
        scores = ops.cast(y_pred, "float32") + (1 - allowed) * np.float32(-1e9)
        logs = ops.log_softmax(scores, axis=1)
        return -ops.sum(ops.maximum(wanted, 0) * logs * allowed, axis=(1, 2)) / 2


@keras.saving.register_keras_serializable("aitk.nlp")
class QuestionOverlap(keras.layers.Layer):
    """Add embeddings that mark tokens of the question, and context tokens that occur in it.

    The feature "exact match" of Chen et al. 2017 (section 3.2): without pretraining, a small model
    learns little else from a few thousand questions.

    Args:
        separator: id of the token that ends the question.
    """

    def __init__(self, separator: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.separator = separator

    def build(
        self, features_shape: Shape, token_ids_shape: Shape, padding_mask_shape: Shape
    ) -> None:
        self.table = self.add_weight(
            shape=(3, features_shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="table",
        )

    def call(self, features: Tensor, token_ids: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, length, hidden), (batch, length) twice -> (batch, length, hidden)
        question = ops.cast(question_mask(token_ids, self.separator), features.dtype)
        same = ops.cast(
            ops.expand_dims(token_ids, 2) == ops.expand_dims(token_ids, 1), features.dtype
        )
        found = ops.max(same * ops.expand_dims(question, 1), axis=2) * (1 - question)
        real = ops.cast(padding_mask, features.dtype)
        kinds = ops.stack([question, found, (1 - question) * (1 - found)], axis=-1)
        kinds = kinds * ops.expand_dims(real, -1)
        return features + ops.matmul(kinds, ops.cast(self.table, features.dtype))

    def compute_output_shape(
        self, features_shape: Shape, token_ids_shape: Shape, padding_mask_shape: Shape
    ) -> Shape:
        return features_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"separator": self.separator}


def question_mask(token_ids: Any, separator: int) -> Any:
    """1 for the tokens up to and including the first separator: (batch, length) int32."""
    ends = ops.cast(token_ids == separator, "int32")
    return ops.cast(ops.cumsum(ends, axis=1) - ends < 1, "int32")
