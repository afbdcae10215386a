"""Renyi differential privacy of the subsampled Gaussian mechanism.

Mironov, Talwar and Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism",
section 3.3: each step takes every row with probability ``rate`` and adds Gaussian noise of
``noise`` times the largest norm of a row's gradient. Neighbouring data sets differ by one row that
one of them lacks. From Renyi divergences to (epsilon, delta): Canonne, Kamath and Steinke 2020,
proposition 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

#: Orders at which the divergence is computed; the best of them gives epsilon.
ORDERS: tuple[float, ...] = (
    *(1 + place / 10 for place in range(1, 100)),
    *range(11, 64),
    *(72, 80, 96, 128, 192, 256, 384, 512, 768, 1024),
)


def rdp_epsilon(
    *, rate: float, noise: float, steps: int, delta: float, orders: Sequence[float] = ORDERS
) -> float:
    """An upper bound of epsilon after ``steps`` steps, at ``delta``.

    Args:
        rate: probability with which a step takes a row, in [0, 1].
        noise: standard deviation of the noise as a multiple of the clipping norm, over 0.
    """
    if steps == 0 or rate == 0:
        return 0.0
    divergences = steps * np.array([step_divergence(rate, noise, order) for order in orders])
    alphas = np.asarray(orders, float)
    epsilons = (
        divergences + np.log1p(-1 / alphas) - (math.log(delta) + np.log(alphas)) / (alphas - 1)
    )
    return max(0.0, float(np.min(epsilons)))


def step_divergence(rate: float, noise: float, order: float) -> float:
    """The Renyi divergence of one step at an order over 1."""
    if rate == 1:
        return order / (2 * noise**2)
    log_moment = (
        _log_moment_whole(rate, noise, int(order))
        if float(order).is_integer()
        else _log_moment(rate, noise, order)
    )
    return log_moment / (order - 1)


def _log_moment_whole(rate: float, noise: float, order: int) -> float:
    """log A(order) for a whole order: a finite binomial sum (section 3.3, "integer alpha")."""
    k = np.arange(order + 1)
    terms = (
        _log_binomial(order, k)
        + k * math.log(rate)
        + (order - k) * math.log1p(-rate)
        + (k * k - k) / (2 * noise**2)
    )
    return float(special.logsumexp(terms))


def _log_moment(rate: float, noise: float, order: float) -> float:
    """log A(order) for any order: two series that meet at z0 (section 3.3, "fractional alpha")."""
    z0 = noise**2 * math.log(1 / rate - 1) + 0.5
    total, length = -math.inf, 64
    start = 0
    while True:
        k = np.arange(start, start + length)
        # log |binomial(order, k)|: the sign is that of gamma(order - k + 1).
        binomial = (
            special.gammaln(order + 1) - special.gammaln(k + 1) - special.gammaln(order - k + 1)
        )
        sign = special.gammasgn(order - k + 1)
        rest = order - k
        left = (
            binomial + k * math.log(rate) + rest * math.log1p(-rate)
            + (k * k - k) / (2 * noise**2) + special.log_ndtr((z0 - k) / noise)
        )  # fmt: skip
        right = (
            binomial + rest * math.log(rate) + k * math.log1p(-rate)
            + (rest * rest - rest) / (2 * noise**2) + special.log_ndtr((rest - z0) / noise)
        )  # fmt: skip
        both = np.logaddexp(left, right)
        total, _ = special.logsumexp(
            np.append(both, total), b=np.append(sign, 1.0), return_sign=True
        )
        start += length
        # Both series alternate and fall once k is beyond the order.
        if start > order and both[-1] < total - 40:
            return float(total)
        if start > 2**16:
            return math.inf


def _log_binomial(n: float, k: np.ndarray) -> np.ndarray:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
