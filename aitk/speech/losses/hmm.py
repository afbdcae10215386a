"""One left-to-right hidden Markov model a word, trained by Baum-Welch (Rabiner 1989, IV and VI)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.runtime import interrupts

if TYPE_CHECKING:
    from aitk.speech.losses.mixture_hmm import MixtureHmm

STAY = 0.6  # first guess of the probability to stay in a state for one more frame
CONVERGED = 1e-3  # of the mean log-likelihood a frame
KMEANS_ROUNDS = 5


@dataclass(frozen=True)
class WordModels:
    """The parameters of the models of ``words`` words with ``states`` states each.

    Attributes:
        start: (words, states), probabilities.
        transitions: (words, states, states), probabilities from row to column.
        weights: (words, states, mixtures), probabilities.
        means: (words, states, mixtures, d).
        variances: the same shape as the means.
    """

    start: np.ndarray
    transitions: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray


def train_words(
    clips: Sequence[Sequence[np.ndarray]],
    *,
    states: int,
    mixtures: int,
    iterations: int,
    min_variance: float,
    seed: int = 0,
) -> WordModels:
    """Train the model of each word on its own sounds.

    Args:
        clips: for each word its sounds, features (frames, d) each; at least one frame a word.
        states: passed from left to right: each frame stays, or moves on by one.
        mixtures: Gaussians with diagonal covariance a state.
        iterations: rounds of Baum-Welch at most.
        min_variance: every variance is kept at or above this, so that no Gaussian shrinks to
            a single frame.
        seed: of the first guess.
    """
    rng = np.random.default_rng(seed)
    trained = [_train(each, states, mixtures, iterations, min_variance, rng=rng) for each in clips]
    names = ("startprob_", "transmat_", "weights", "means", "variances")
    return WordModels(*(np.stack([getattr(model, name) for model in trained]) for name in names))


def fit_scale(scores: np.ndarray, targets: np.ndarray) -> float:
    """What log-likelihoods are to be multiplied by, to make their softmax honest.

    Frames are not independent given the state, as the model takes them to be, so that its
    likelihoods differ far too much (Gillick et al. 2011). The scale with the least log loss on
    held-out rows is a temperature (Guo et al. 2017, section 4.2).

    Args:
        scores: (rows, words) log-likelihoods.
        targets: (rows,) word numbers.
    """
    from scipy.optimize import minimize_scalar

    def loss(exponent: float) -> float:
        scaled = scores * np.exp(exponent)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        own = scaled[np.arange(len(scaled)), targets]
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - own))

    return float(np.exp(minimize_scalar(loss, bounds=(-8.0, 0.0), method="bounded").x))


def _train(
    clips: Sequence[np.ndarray],
    states: int,
    mixtures: int,
    iterations: int,
    min_variance: float,
    *,
    rng: np.random.Generator,
) -> MixtureHmm:
    """The trained model of one word."""
    from aitk.speech.losses.mixture_hmm import MixtureHmm

    interrupts.check()
    frames = np.concatenate(clips).astype(np.float64)
    lengths = [len(clip) for clip in clips]
    model = MixtureHmm(
        np.eye(1, states)[0],
        _left_to_right(states),
        *_first_guess(frames, lengths, states, mixtures, min_variance, rng=rng),
        min_variance=min_variance,
        iterations=iterations,
        min_gain=CONVERGED * len(frames),
    )
    return model.fit(frames, lengths)


def _left_to_right(states: int) -> np.ndarray:
    """(states, states): stay or move on by one; the last state stays."""
    matrix = STAY * np.eye(states) + (1 - STAY) * np.eye(states, k=1)
    matrix[-1, -1] = 1.0
    return matrix


def _first_guess(
    frames: np.ndarray,
    lengths: Sequence[int],
    states: int,
    mixtures: int,
    min_variance: float,
    *,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut every sound into equal parts, one a state, and cluster the frames of each (k-means)."""
    place = np.concatenate([np.arange(length) * states // length for length in lengths])
    overall = np.maximum(frames.var(axis=0), min_variance)
    weights = np.empty((states, mixtures))
    means = np.empty((states, mixtures, frames.shape[1]))
    variances = np.empty_like(means)
    for state in range(states):
        own = frames[place == state]
        if len(own) == 0:  # sounds with fewer frames than states
            own = frames
        centres = own[rng.choice(len(own), mixtures, replace=len(own) < mixtures)]
        # Equal centres would stay equal for ever.
        centres = centres + 1e-3 * np.sqrt(overall) * rng.standard_normal(centres.shape)
        for _ in range(KMEANS_ROUNDS):
            distances = ((own[:, None] - centres) ** 2 / overall).sum(axis=2)
            nearest = distances.argmin(axis=1)
            for index in range(mixtures):
                if (nearest == index).any():
                    centres[index] = own[nearest == index].mean(axis=0)
        for index in range(mixtures):
            members = own[nearest == index]
            weights[state, index] = len(members) + 1
            many = len(members) > 1
            variances[state, index] = members.var(axis=0) if many else overall
        weights[state] /= weights[state].sum()
        means[state] = centres
    return weights, means, np.maximum(variances, min_variance)
