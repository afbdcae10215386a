"""Numerical composition of privacy loss random variables: a tight epsilon.

Gopi, Lee and Wutschitz 2021, "Numerical Composition of Differential Privacy". The privacy loss of
one step of the subsampled Gaussian mechanism is cut into a grid whose mean is the true one
(section 4, algorithms 1 and 2); the loss of all steps is its convolution with itself, by Fast
Fourier Transform. Koskela, Jalko and Honkela 2020 compose the same distribution without the error
bounds used here (theorem 5).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, special

from aitk.core.privacy.rdp import rdp_epsilon

#: Largest error of epsilon, and of delta as a share of it, that the grid may make.
EPSILON_ERROR, DELTA_ERROR_SHARE = 0.005, 1e-3
MAX_POINTS = 2**24
_MEAN_POINTS = 20_001


@functools.lru_cache(maxsize=16)  # the search for a noise asks for the last one twice
def prv_epsilon(
    *,
    rate: float,
    noise: float,
    steps: int,
    delta: float,
    epsilon_error: float = EPSILON_ERROR,
) -> float:
    """An upper bound of epsilon after ``steps`` steps, too large by 2 ``epsilon_error`` at most.

    Args: as of ``rdp_epsilon``.
    """
    if steps == 0 or rate == 0:
        return 0.0
    delta_error = delta * DELTA_ERROR_SHARE
    spacing = epsilon_error / math.sqrt(steps / 2 * math.log(12 / delta_error))
    # Beyond this the loss of all steps, and of one, is with a probability that delta_error covers.
    reach = rdp_epsilon(rate=rate, noise=noise, steps=steps, delta=delta_error / 4) + 3
    reach = max(reach, epsilon_error + rdp_epsilon(
        rate=rate, noise=noise, steps=1, delta=delta_error / (8 * steps)
    ) + 3)  # fmt: skip
    half = math.ceil(reach / spacing)
    half = fft.next_fast_len(half, real=True)
    if 2 * half > MAX_POINTS:  # a coarser grid; the bound grows with it
        half = MAX_POINTS // 2
        spacing = reach / half
        epsilon_error = spacing * math.sqrt(steps / 2 * math.log(12 / delta_error))
    estimates = [
        _epsilon_of(_composed(loss, half, spacing, steps), spacing, half, delta - delta_error)
        for loss in (_Loss(rate, noise, removed=True), _Loss(rate, noise, removed=False))
    ]
    return max(0.0, *estimates) + epsilon_error


@dataclass(frozen=True)
class _Loss:
    """The privacy loss of one step.

    Attributes:
        removed: of a data set against the one that lacks a row; otherwise the other way around.
    """

    rate: float
    noise: float
    removed: bool

    def cdf(self, loss: np.ndarray) -> np.ndarray:
        """The probability that the loss is at most so much."""
        rate, noise = self.rate, self.noise
        signed = loss if self.removed else -loss
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # Where the output that has this loss lies: the loss grows with it.
            inside = (np.expm1(signed) + rate) / rate
            at = noise**2 * np.log(inside) + 0.5
        at = np.where(inside > 0, at, -np.inf)
        if self.removed:
            return (1 - rate) * special.ndtr(at / noise) + rate * special.ndtr((at - 1) / noise)
        return special.ndtr(-at / noise)

    def mean(self) -> float:
        """The expected loss; the trapezoidal rule is exact to rounding for such integrands."""
        rate, noise = self.rate, self.noise
        at = np.linspace(-40 * noise, 40 * noise + 1, _MEAN_POINTS)
        loss = np.log1p(rate * np.expm1((2 * at - 1) / (2 * noise**2)))
        base = np.exp(-((at / noise) ** 2) / 2) / (noise * math.sqrt(2 * math.pi))
        moved = np.exp(-(((at - 1) / noise) ** 2) / 2) / (noise * math.sqrt(2 * math.pi))
        if self.removed:
            density = (1 - rate) * base + rate * moved
            return float(np.trapezoid(loss * density, at))
        return float(np.trapezoid(-loss * base, at))


def _composed(loss: _Loss, half: int, spacing: float, steps: int) -> tuple[np.ndarray, float]:
    """The probabilities of the loss of all steps on the grid, and by how much it is shifted."""
    edges = (np.arange(-half, half + 1) - 0.5) * spacing
    mass = np.diff(loss.cdf(edges))  # of the points (-half ... half - 1) * spacing
    points = np.arange(-half, half) * spacing
    mass = np.maximum(mass, 0)
    mass /= mass.sum()
    shift = loss.mean() - float(mass @ points)
    transformed = fft.rfft(np.roll(mass, -half))
    composed = fft.irfft(transformed**steps, n=2 * half)
    return np.roll(composed, half), shift * steps


def _epsilon_of(
    composed: tuple[np.ndarray, float], spacing: float, half: int, delta: float
) -> float:
    """The smallest epsilon with delta(epsilon) = E[max(0, 1 - exp(epsilon - loss))] <= delta."""
    mass, shift = composed
    losses = np.arange(-half, half) * spacing + shift
    kept = losses > 0
    mass, losses = np.maximum(mass[kept], 0), losses[kept]
    # From the largest loss down: delta at the grid's points is above - exp(loss) * weighted.
    above = np.cumsum(mass[::-1])[::-1]
    weighted = np.cumsum((mass * np.exp(-losses))[::-1])[::-1]
    deltas = above - np.exp(losses) * weighted
    passed = np.flatnonzero(deltas > delta)
    if not len(passed):
        return 0.0 if above[0] - weighted[0] <= delta else float(losses[0])
    last = passed[-1]
    if last + 1 >= len(losses):
        return math.inf
    # Between two points of the grid, delta = above - exp(epsilon) * weighted: solve it for epsilon.
    return math.log((above[last + 1] - delta) / weighted[last + 1])
