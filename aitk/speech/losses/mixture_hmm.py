"""A hidden Markov model whose states are Gaussian mixtures, for hmmlearn's Baum-Welch.

hmmlearn's own ``GMMHMM`` clusters the frames at every fit and goes through states one by one; this
one starts from what it is given, and treats all Gaussians of all states together.
"""

from __future__ import annotations

import numpy as np
from hmmlearn.base import BaseHMM

from aitk.core.runtime import interrupts


class MixtureHmm(BaseHMM):
    """Left to right or not, as the given transitions are: those of zero stay zero.

    Args:
        start: (states,) probabilities.
        transitions: (states, states) probabilities from row to column.
        weights: (states, mixtures) probabilities.
        means: (states, mixtures, d).
        variances: the same shape.
        min_variance: every variance is kept at or above this.
        iterations: rounds of Baum-Welch at most.
        min_gain: of the log-likelihood of all frames, to go on.
    """

    def __init__(
        self,
        start: np.ndarray,
        transitions: np.ndarray,
        weights: np.ndarray,
        means: np.ndarray,
        variances: np.ndarray,
        *,
        min_variance: float = 1e-3,
        iterations: int = 10,
        min_gain: float = 1e-2,
    ):
        super().__init__(len(start), params="tg", init_params="", n_iter=iterations, tol=min_gain)
        self.startprob_, self.transmat_ = start, transitions
        self.weights, self.means, self.variances = weights, means, variances
        self.min_variance = min_variance
        self.n_features = means.shape[-1]

    def _init(self, X, lengths=None):
        """Nothing: the first guess was given."""

    def _check(self):
        """Nothing: its parameters come from here alone."""

    def _compute_log_likelihood(self, X):
        # (frames, d) -> (frames, states)
        log_densities = self._log_densities(X)
        largest = log_densities.max(axis=2)
        return largest + np.log(np.exp(log_densities - largest[..., None]).sum(axis=2))

    def _initialize_sufficient_statistics(self):
        interrupts.check()  # once in every round
        stats = super()._initialize_sufficient_statistics()
        stats["counts"] = np.zeros(self.weights.shape)
        stats["sums"] = np.zeros(self.means.shape)
        stats["squares"] = np.zeros(self.means.shape)
        return stats

    def _accumulate_sufficient_statistics(
        self, stats, X, lattice, posteriors, fwdlattice, bwdlattice
    ):  # fmt: skip
        super()._accumulate_sufficient_statistics(
            stats, X, lattice, posteriors, fwdlattice, bwdlattice
        )
        # (frames, states, mixtures): being in a state times being from one of its Gaussians.
        shares = np.exp(self._log_densities(X) - lattice[..., None]) * posteriors[..., None]
        stats["counts"] += shares.sum(axis=0)
        flat = shares.reshape(len(X), -1).T
        stats["sums"] += (flat @ X).reshape(self.means.shape)
        stats["squares"] += (flat @ X**2).reshape(self.means.shape)

    def _do_mstep(self, stats):
        # A state or Gaussian that no frame was in keeps what it had.
        earlier = self.transmat_.copy()
        super()._do_mstep(stats)
        left = self.transmat_.sum(axis=1) == 0
        self.transmat_[left] = earlier[left]
        counts = stats["counts"]
        in_state = counts.sum(axis=1, keepdims=True)
        tiny = np.finfo(float).tiny
        self.weights = np.where(in_state > 0, counts / np.maximum(in_state, tiny), self.weights)
        seen, divisor = counts[..., None] > 1e-10, np.maximum(counts[..., None], 1e-10)
        means = stats["sums"] / divisor
        variances = stats["squares"] / divisor - means**2
        self.means = np.where(seen, means, self.means)
        self.variances = np.where(seen, np.maximum(variances, self.min_variance), self.variances)

    def _log_densities(self, X):
        """Log-densities with the logarithms of the weights: (frames, states, mixtures)."""
        precisions = 1 / self.variances.reshape(-1, self.n_features)
        means = self.means.reshape(-1, self.n_features)
        distances = X**2 @ precisions.T - 2 * X @ (means * precisions).T
        distances += (means**2 * precisions).sum(axis=1)
        constants = np.log(np.maximum(self.weights, 1e-300))
        constants -= 0.5 * np.log(2 * np.pi * self.variances).sum(axis=-1)
        return constants - 0.5 * distances.reshape(len(X), *self.weights.shape)
