"""Hidden Markov models with Gaussian mixtures as a Keras model: their parameters are its weights.

The backbone maps frames to log-densities of every state of every word; the forward algorithm
(Rabiner 1989, section III.A), in the log domain, sums over all paths through a word.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.speech.losses.hmm import WordModels
from aitk.speech.models.inputs import speech_inputs

IMPOSSIBLE = -1e9  # the logarithm of a probability of zero


def word_scorer(words: int, states: int, mixtures: int, dimensions: int) -> keras.Model:
    """A model of ``words`` words with uninitialised weights (see ``fill``).

    Returns:
        Model from ``features`` (batch, frames, dimensions) and ``padding_mask`` to logits (batch,
        words): log-likelihoods times the scale of the layer ``head``.
    """
    inputs = speech_inputs(dimensions)
    densities = StateDensities(words * states, mixtures, dtype="float32", name="state_densities")
    backbone = keras.Model(inputs, densities(inputs["features"]), name="backbone")
    inputs = speech_inputs(dimensions)
    cell = ForwardCell(words, states, dtype="float32", name="forward_cell")
    x = keras.layers.RNN(cell, name="forward")(
        backbone(inputs), mask=ops.cast(inputs["padding_mask"], "bool")
    )
    x = SumOverStates(words, dtype="float32", name="scores")(x)
    logits = Scale(dtype="float32", name="head")(x)
    return keras.Model(inputs, logits, name="word_scorer")


def fill(model: keras.Model, found: WordModels, *, scale: float = 1.0) -> keras.Model:
    """Set the weights of a ``word_scorer`` to trained parameters."""
    densities = model.get_layer("backbone").get_layer("state_densities")
    words, states, mixtures, dimensions = found.means.shape
    shape = (words * states * mixtures, dimensions)
    densities.means.assign(found.means.reshape(shape))
    densities.inverse_deviations.assign(1 / np.sqrt(found.variances.reshape(shape)))
    constant = -0.5 * (np.log(2 * math.pi * found.variances).sum(axis=-1))
    densities.log_weights.assign((_log(found.weights) + constant).reshape(-1, mixtures))
    cell = model.get_layer("forward").cell
    cell.log_start.assign(_log(found.start))
    cell.log_transitions.assign(_log(found.transitions))
    model.get_layer("head").scale.assign(scale)
    return model


def prune(model: keras.Model, *, share: float) -> keras.Model:
    """Remove the Gaussians with the least weight in their states from a trained ``word_scorer``.

    The heaviest Gaussian of every state is kept. The weight of removed ones goes to the others.

    Args:
        share: share of Gaussians to remove, from 0 to 1.
    """
    densities = model.get_layer("backbone").get_layer("state_densities")
    deviations = 1 / np.asarray(densities.inverse_deviations)
    states, mixtures = densities.log_weights.shape
    constants = -np.log(math.sqrt(2 * math.pi) * deviations).sum(axis=-1).reshape(states, mixtures)
    weights = np.exp(np.asarray(densities.log_weights) - constants)  # sums to 1 per state
    order = np.argsort(weights, axis=None)
    heaviest = weights.argmax(axis=1) + mixtures * np.arange(states)
    spare = order[~np.isin(order, heaviest)][: round(share * weights.size)]
    gone = np.zeros(weights.size, bool)
    gone[spare] = True
    kept = np.where(gone.reshape(weights.shape), 0.0, weights)
    kept /= kept.sum(axis=1, keepdims=True)
    densities.log_weights.assign(np.maximum(_log(kept) + constants, IMPOSSIBLE))
    densities.means.assign(np.asarray(densities.means) * ~gone[:, None])
    densities.inverse_deviations.assign(np.asarray(densities.inverse_deviations) * ~gone[:, None])
    return model


@keras.saving.register_keras_serializable("aitk.speech")
class StateDensities(keras.layers.Layer):
    """Log-densities of frames under the Gaussian mixture of each state.

    ``log_weights`` also contains the constant of each Gaussian.
    """

    def __init__(self, states: int, mixtures: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.states, self.mixtures = states, mixtures

    def build(self, features_shape: Shape) -> None:
        shape = (self.states * self.mixtures, features_shape[-1])
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.inverse_deviations = self.add_weight(
            shape=shape, initializer="ones", name="inverse_deviations"
        )
        self.log_weights = self.add_weight(
            shape=(self.states, self.mixtures), initializer="zeros", name="log_weights"
        )

    def call(self, features: Tensor) -> Tensor:
        # (batch, frames, d) -> (batch, frames, states)
        precisions = ops.square(self.inverse_deviations)
        weighted = self.means * precisions
        squares = ops.matmul(ops.square(features), ops.transpose(precisions))
        products = ops.matmul(features, ops.transpose(weighted))
        constants = ops.sum(self.means * weighted, axis=1)
        distances = squares - 2 * products + constants  # (batch, frames, states * mixtures)
        # Preserve a statically known number of rows: converters need it in loops.
        shape = (ops.shape(features)[0], -1, self.states, self.mixtures)
        return ops.logsumexp(self.log_weights - 0.5 * ops.reshape(distances, shape), axis=-1)

    def compute_output_shape(self, features_shape: Shape) -> Shape:
        return (*features_shape[:-1], self.states)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"states": self.states, "mixtures": self.mixtures}


@keras.saving.register_keras_serializable("aitk.speech")
class ForwardCell(keras.layers.Layer):
    """One step of the forward algorithm for all words, as a recurrent cell.

    Its state is the log-probability of the frames so far in each state, and the number of frames:
    the first frame uses the start probabilities.
    """

    def __init__(self, words: int, states: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.words, self.states = words, states
        self.output_size = words * states
        self.state_size = [words * states, 1]

    def build(self, densities_shape: Shape) -> None:
        self.log_start = self.add_weight(
            shape=(self.words, self.states), initializer="zeros", name="log_start"
        )
        self.log_transitions = self.add_weight(
            shape=(self.words, self.states, self.states), initializer="zeros",
            name="log_transitions",
        )  # fmt: skip

    def get_initial_state(self, batch_size: Tensor | None = None) -> list[Tensor]:
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def call(self, densities: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        # (batch, words * states) -> the same shape
        before, frames = states
        before = ops.reshape(before, (-1, self.words, self.states, 1))
        moved = ops.logsumexp(before + self.log_transitions, axis=2)  # (batch, words, states)
        moved = ops.where(ops.expand_dims(frames, -1) > 0, moved, self.log_start)
        now = ops.reshape(moved, (-1, self.words * self.states)) + densities
        return now, [now, frames + 1]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"words": self.words, "states": self.states}


@keras.saving.register_keras_serializable("aitk.speech")
class SumOverStates(keras.layers.Layer):
    """Sum over final states: (batch, words * states) -> (batch, words)."""

    def __init__(self, words: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.words = words

    def call(self, x: Tensor) -> Tensor:
        return ops.logsumexp(ops.reshape(x, (-1, self.words, x.shape[-1] // self.words)), axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.words)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"words": self.words}


@keras.saving.register_keras_serializable("aitk.speech")
class Scale(keras.layers.Layer):
    """Multiply by a scalar."""

    def build(self, input_shape: Shape) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x: Tensor) -> Tensor:
        return x * self.scale

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _log(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms, with a large negative number for zero."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities), IMPOSSIBLE)
