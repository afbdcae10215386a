"""Models that map a text to one vector: word tables, pooled encoders, static tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import BACKBONE
from aitk.core.layers import Shape, Tensor
from aitk.nlp.models.heads import HidePadding, Pooling, text_inputs

TOKENS_AT_ONCE = 1024


def word_table(vectors: np.ndarray) -> keras.Model:
    """``token_ids`` (batch, length) int32 and ``token_weights`` (batch, length) float32 to the
    weighted sum of the tokens' vectors, (batch, dimension).

    Args:
        vectors: (units, dimension).
    """
    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "token_weights": keras.Input((None,), dtype="float32", name="token_weights"),
    }
    x = keras.layers.Embedding(*vectors.shape, name="token_embedding")(inputs["token_ids"])
    x = WeightedSum(name="weighted_sum", dtype="float32")(x, inputs["token_weights"])
    backbone = keras.Model(inputs, x, name=BACKBONE)
    backbone.get_layer("token_embedding").set_weights([vectors])
    return keras.Model(inputs, backbone(inputs), name="word_vectors")


def sentence_encoder(backbone: keras.Model, *, pooling: str) -> keras.Model:
    """Unit-length pooled features: ``token_ids`` and ``padding_mask`` to (batch, hidden).

    Args:
        backbone: the same inputs to (batch, length, hidden).
    """
    inputs = text_inputs()
    x = backbone(inputs)
    x = Pooling(pooling, name="pooling", dtype="float32")(x, inputs["padding_mask"])
    x = UnitLength(name="unit_length", dtype="float32")(x)
    return keras.Model(inputs, x, name="sentence_encoder")


def static_backbone(vectors: np.ndarray) -> keras.Model:
    """``token_ids`` and ``padding_mask`` to the vectors of the tokens, (batch, length, dimension).

    Args:
        vectors: (tokens, dimension).
    """
    inputs = text_inputs()
    table = keras.layers.Embedding(*vectors.shape, name="token_embedding")
    x = HidePadding(name="hide_padding")(table(inputs["token_ids"]), inputs["padding_mask"])
    model = keras.Model(inputs, x, name=BACKBONE)
    table.set_weights([vectors])
    return model


def distilled_backbone(
    encoder: keras.Model, tokenizer: Any, weights: np.ndarray, *, pooling: str, dimension: int
) -> keras.Model:
    """A static backbone of the vectors that an encoder computes for each token alone; one that is
    static already stays.

    Args:
        encoder: ``token_ids`` and ``padding_mask`` to (batch, length, hidden).
        weights: (tokens,) of each token.
        pooling: of the encoder's features.
        dimension: see ``distil_table``.

    Raises:
        UsageError: the encoder does not map every token to features.
    """
    if is_static(encoder):
        return encoder
    names = {each.name.partition(":")[0] for each in encoder.inputs}
    if names != set(text_inputs()) or len(encoder.output.shape) != 3:
        raise UsageError(
            "a static table is distilled from an encoder with a vector for each token",
            where="static",
            hint="Use a transformer or hub run, or an encoder with --from",
        )
    before, after = tokenizer.frame
    vectors = token_vectors(
        encoder,
        lambda tokens: [[*before, token, *after] for token in tokens],
        tokenizer.vocabulary_size,
        pooling=pooling,
    )
    return static_backbone(distil_table(vectors, weights, dimension=dimension))


def is_static(backbone: keras.Model) -> bool:
    """Whether token vectors do not depend on their neighbours."""
    named = {layer.name for layer in backbone.layers if layer.weights}
    return named == {"token_embedding"} and backbone.get_layer(
        "token_embedding"
    ).count_params() == (backbone.count_params())


def token_vectors(
    encoder: keras.Model,
    frame: Callable[[list[int]], list[list[int]]],
    vocabulary_size: int,
    *,
    pooling: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The vector of each token in isolation, (vocabulary_size, hidden) float32.

    Args:
        frame: adds the special tokens to each of some tokens, all with the same length.
        progress: receives the number of finished tokens.
    """
    from aitk.core.inference.predictors import KerasPredictor

    inputs = text_inputs()
    x = Pooling(pooling, dtype="float32")(encoder(inputs), inputs["padding_mask"])
    predict = KerasPredictor(keras.Model(inputs, x))
    parts = []
    for start in range(0, vocabulary_size, TOKENS_AT_ONCE):
        last = min(start + TOKENS_AT_ONCE, vocabulary_size)
        ids = np.array(frame(list(range(start, last))), np.int32)
        parts.append(predict({"token_ids": ids, "padding_mask": np.ones_like(ids)}))
        progress(last, vocabulary_size)
    return np.concatenate(parts)


def distil_table(vectors: np.ndarray, weights: np.ndarray, *, dimension: int) -> np.ndarray:
    """Project token vectors to their principal components and weight them.

    As in model2vec (Tulkens and van Dongen 2024) and SIF (Arora et al. 2017): frequent directions
    and frequent tokens carry little information.

    Args:
        vectors: (tokens, hidden).
        weights: (tokens,) of each token.

    Returns:
        (tokens, min(dimension, hidden)) float32.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    covariance = centred.T @ centred
    _, components = np.linalg.eigh(covariance)
    kept = components[:, ::-1][:, :dimension]
    return (centred @ kept * weights[:, None]).astype(np.float32)


@keras.saving.register_keras_serializable("aitk.nlp")
class WeightedSum(keras.layers.Layer):
    """(batch, length, dimension), (batch, length) -> (batch, dimension)."""

    def call(self, vectors: Tensor, weights: Tensor) -> Tensor:
        weights = ops.cast(weights, vectors.dtype)
        return ops.sum(vectors * ops.expand_dims(weights, -1), axis=1)

    def compute_output_shape(self, vectors_shape: Shape, weights_shape: Shape) -> Shape:
        return (vectors_shape[0], vectors_shape[-1])


@keras.saving.register_keras_serializable("aitk.nlp")
class UnitLength(keras.layers.Layer):
    """Scale vectors (batch, dimension) to unit length."""

    def call(self, vectors: Tensor) -> Tensor:
        lengths = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
        return vectors / ops.maximum(lengths, 1e-9)

    def compute_output_shape(self, vectors_shape: Shape) -> Shape:
        return vectors_shape
