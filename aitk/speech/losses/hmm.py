"""Left-to-right hidden Markov models, one per word, trained by Baum-Welch (Rabiner 1989, IV, VI).

States emit mixtures of Gaussians with diagonal covariance. The recursions run in the log domain,
over all clips of a word at once.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.runtime import interrupts

STAY = 0.6  # initial self-transition probability
CONVERGED = 1e-3  # minimum gain in mean log-likelihood per frame
CLIPS_AT_ONCE = 256
_FEWEST = 1e-10  # minimum expected frames for estimating a Gaussian


@dataclass(frozen=True)
class WordModel:
    """A hidden Markov model with ``states`` states in left-to-right order.

    Attributes:
        start: (states,), probabilities.
        transitions: (states, states), probabilities from row to column.
        weights: (states, mixtures), probabilities.
        means: (states, mixtures, d).
        variances: the same shape as the means.
    """

    start: np.ndarray
    transitions: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def log_densities(self, frames: np.ndarray) -> np.ndarray:
        """Log-densities of frames (n, d) under each weighted Gaussian: (n, states, mixtures)."""
        d = self.means.shape[-1]
        precisions, means = 1 / self.variances.reshape(-1, d), self.means.reshape(-1, d)
        distances = frames**2 @ precisions.T - 2 * frames @ (means * precisions).T
        distances += (means**2 * precisions).sum(axis=1)
        constants = np.log(np.maximum(self.weights, 1e-300))
        constants -= 0.5 * np.log(2 * np.pi * self.variances).sum(axis=-1)
        return constants - 0.5 * distances.reshape(len(frames), *self.weights.shape)


@dataclass(frozen=True)
class WordModels:
    """The parameters of the models of ``words`` words, as in ``WordModel`` with a leading axis for
    words."""

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
    """Train a model for each word on its own clips.

    Args:
        clips: clips per word, features (frames, d) each; at least one frame per word.
        states: number of left-to-right states: each frame stays in its state or advances by one.
        mixtures: Gaussians with diagonal covariance per state.
        iterations: maximum iterations of Baum-Welch.
        min_variance: lower bound on every variance, so that no Gaussian collapses onto a single
            frame.
        seed: seed of the initialisation.
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    trained = []
    # With so few columns, products are several times slower with several BLAS threads.
    with threadpool_limits(1, user_api="blas"):
        for own in clips:
            exact = [clip.astype(np.float64) for clip in own]
            guess = first_guess(exact, states, mixtures, min_variance, rng=rng)
            trained.append(
                baum_welch(guess, exact, iterations=iterations, min_variance=min_variance)
            )
    names = [field.name for field in dataclasses.fields(WordModel)]
    return WordModels(*(np.stack([getattr(model, name) for model in trained]) for name in names))


def baum_welch(
    model: WordModel,
    clips: Sequence[np.ndarray],
    *,
    iterations: int,
    min_variance: float,
) -> WordModel:
    """Baum-Welch re-estimation (Rabiner 1989, III.C and VI.A).

    Start probabilities are fixed. Training stops when an iteration gains less than ``CONVERGED`` in
    log-likelihood per frame.

    Args:
        clips: features (frames, d) float64 each.
        iterations: maximum iterations.
        min_variance: lower bound on every variance.
    """
    min_gain = CONVERGED * sum(map(len, clips))
    by_length = sorted(clips, key=len)  # minimises padding
    before = -np.inf
    for _ in range(iterations):
        interrupts.check()
        counts = _Counts.zero(model)
        for at in range(0, len(by_length), CLIPS_AT_ONCE):
            counts.add(model, by_length[at : at + CLIPS_AT_ONCE])
        model = counts.most_likely(model, min_variance)
        if counts.log_likelihood - before < min_gain:
            break
        before = counts.log_likelihood
    return model


def forward_backward(
    start: np.ndarray, transitions: np.ndarray, log_densities: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The probability of clips, and their state occupancies (Rabiner 1989, III.A and C).

    Args:
        start: (states,) probabilities.
        transitions: (states, states) probabilities to stay in a state and to advance to the next
            one; others are treated as zero.
        log_densities: (clips, frames, states) of every frame in every state, padded.
        lengths: (clips,) number of frames.

    Returns:
        The log-likelihood of each clip (clips,); the state probabilities at each frame (clips,
        frames, states), zero where padded; and the expected number of transitions over all clips,
        (states, states).
    """
    with np.errstate(divide="ignore"):
        log_start, log_stay = np.log(start), np.log(transitions.diagonal())
        log_move = np.log(transitions.diagonal(1))
    densities = np.ascontiguousarray(log_densities.swapaxes(0, 1))  # (frames, clips, states)
    inside = np.arange(1, len(densities))[:, None] < lengths  # (frames - 1, clips)
    forward = np.empty_like(densities)
    forward[0] = log_start + densities[0]
    for at in range(1, len(densities)):
        now = forward[at - 1] + log_stay
        moved = forward[at - 1, :, :-1] + log_move
        np.logaddexp(now[:, 1:], moved, out=now[:, 1:])
        forward[at] = now + densities[at]
    log_likelihoods = np.logaddexp.reduce(forward[lengths - 1, np.arange(len(lengths))], axis=1)
    backward = np.zeros_like(densities)
    for at in range(len(densities) - 2, -1, -1):
        later = densities[at + 1] + backward[at + 1]
        now = later + log_stay
        np.logaddexp(now[:, :-1], later[:, 1:] + log_move, out=now[:, :-1])
        backward[at] = np.where(inside[at, :, None], now, 0.0)
    before = forward[:-1] - log_likelihoods[:, None]  # (frames - 1, clips, states)
    later = densities[1:] + backward[1:]
    stays = np.exp((before + later + log_stay)[inside]).sum(axis=0)
    moves = np.exp((before[..., :-1] + later[..., 1:] + log_move)[inside]).sum(axis=0)
    real = np.arange(len(densities))[:, None] < lengths
    posteriors = np.zeros_like(densities)
    posteriors[real] = np.exp((forward + backward - log_likelihoods[:, None])[real])
    return log_likelihoods, posteriors.swapaxes(0, 1), np.diag(stays) + np.diag(moves, 1)


def fit_scale(scores: np.ndarray, targets: np.ndarray) -> float:
    """The scale of log-likelihoods that calibrates their softmax.

    Contrary to the model's assumption, frames are not independent given the state, so its
    likelihoods are far too extreme (Gillick et al. 2011). The scale with the least log loss on
    held-out rows is a temperature (Guo et al. 2017, section 4.2).

    Args:
        scores: (rows, words) log-likelihoods.
        targets: (rows,) word numbers.
    """
    from scipy.optimize import minimize_scalar

    def loss(exponent: float) -> float:
        scaled = scores * np.exp(exponent)
        own = scaled[np.arange(len(scaled)), targets]
        return float(np.mean(_log_sum(scaled, axis=1) - own))

    return float(np.exp(minimize_scalar(loss, bounds=(-8.0, 0.0), method="bounded").x))


def first_guess(
    clips: Sequence[np.ndarray],
    states: int,
    mixtures: int,
    min_variance: float,
    *,
    rng: np.random.Generator,
) -> WordModel:
    """Split every clip into equal parts, one per state, and cluster their frames (k-means)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    frames = np.concatenate(clips)
    place = np.concatenate([np.arange(len(clip)) * states // len(clip) for clip in clips])
    overall = np.maximum(frames.var(axis=0), min_variance)
    deviations = np.sqrt(overall)
    weights = np.empty((states, mixtures))
    means = np.empty((states, mixtures, frames.shape[1]))
    variances = np.empty_like(means)
    for state in range(states):
        own = frames[place == state]
        if len(own) == 0:  # all clips have fewer frames than states
            own = frames
        own = np.resize(own, (max(len(own), mixtures), own.shape[1]))
        clusters = KMeans(mixtures, n_init=1, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():  # fewer distinct frames than Gaussians
            warnings.simplefilter("ignore", ConvergenceWarning)
            nearest = clusters.fit_predict(own / deviations)
        # Equal centres would never separate.
        jitter = 1e-3 * rng.standard_normal(clusters.cluster_centers_.shape)
        means[state] = (clusters.cluster_centers_ + jitter) * deviations
        for index in range(mixtures):
            members = own[nearest == index]
            weights[state, index] = len(members) + 1
            many = len(members) > 1
            variances[state, index] = members.var(axis=0) if many else overall
        weights[state] /= weights[state].sum()
    start = np.eye(1, states)[0]
    variances = np.maximum(variances, min_variance)
    return WordModel(start, _left_to_right(states), weights, means, variances)


@dataclass
class _Counts:
    """Expected statistics of clips under a model, for one iteration."""

    log_likelihood: float
    moved: np.ndarray  # (states, states)
    frames: np.ndarray  # (states, mixtures)
    sums: np.ndarray  # (states, mixtures, d)
    squares: np.ndarray  # (states, mixtures, d)

    @classmethod
    def zero(cls, model: WordModel) -> _Counts:
        parts = (model.transitions, model.weights, model.means, model.means)
        return cls(0.0, *(np.zeros(part.shape) for part in parts))

    def add(self, model: WordModel, clips: Sequence[np.ndarray]) -> None:
        """Add the clips, (frames, d) each."""
        lengths = np.array([len(clip) for clip in clips])
        frames = np.concatenate(clips)
        by_gaussian = model.log_densities(frames)
        by_state = _log_sum(by_gaussian, axis=2)
        real = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros((*real.shape, by_state.shape[1]))
        padded[real] = by_state
        found, posteriors, moved = forward_backward(model.start, model.transitions, padded, lengths)
        # (frames, states, mixtures): the posterior of a state times that of one of its Gaussians.
        shares = np.exp(by_gaussian - by_state[..., None]) * posteriors[real][..., None]
        flat = shares.reshape(len(frames), -1).T
        self.log_likelihood += float(found.sum())
        self.moved += moved
        self.frames += shares.sum(axis=0)
        self.sums += (flat @ frames).reshape(self.sums.shape)
        self.squares += (flat @ frames**2).reshape(self.squares.shape)

    def most_likely(self, model: WordModel, min_variance: float) -> WordModel:
        """The re-estimated model; states and Gaussians without frames keep their parameters."""
        tiny = np.finfo(float).tiny
        left = self.moved.sum(axis=1, keepdims=True)
        in_state = self.frames.sum(axis=1, keepdims=True)
        seen, divisor = (
            self.frames[..., None] > _FEWEST,
            np.maximum(self.frames, _FEWEST)[..., None],
        )
        means = self.sums / divisor
        variances = np.maximum(self.squares / divisor - means**2, min_variance)
        return dataclasses.replace(
            model,
            transitions=np.where(left > 0, self.moved / np.maximum(left, tiny), model.transitions),
            weights=np.where(in_state > 0, self.frames / np.maximum(in_state, tiny), model.weights),
            means=np.where(seen, means, model.means),
            variances=np.where(seen, variances, model.variances),
        )


def _left_to_right(states: int) -> np.ndarray:
    """(states, states): stay or advance by one; the last state stays."""
    matrix = STAY * np.eye(states) + (1 - STAY) * np.eye(states, k=1)
    matrix[-1, -1] = 1.0
    return matrix


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    """The logarithm of the sum of exponentials of finite values."""
    largest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=axis)) + largest.squeeze(axis)
