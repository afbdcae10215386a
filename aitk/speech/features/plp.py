"""Perceptual linear prediction (Hermansky 1990, "Perceptual linear predictive analysis of
speech", section I): the perceptually weighted short-term spectrum, and its all-pole model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from aitk.core.contract.errors import UsageError

_FLOOR = np.float32(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Bands:
    """Critical bands about one Bark apart, from 0 to half the sample rate.

    Attributes:
        weights: (bands, fft_size / 2 + 1) float32, masking curve times equal loudness.
        cosines: (bands, bands) float32, from a spectrum to its autocorrelation by lag.
    """

    weights: scipy.sparse.csr_array
    cosines: np.ndarray


def make_bands(*, sample_rate_hz: int, fft_size: int) -> Bands:
    """Critical bands for spectra of ``fft_size / 2 + 1`` powers."""
    hertz = np.arange(fft_size // 2 + 1) * sample_rate_hz / fft_size
    top = bark(sample_rate_hz / 2)
    count = int(np.ceil(top)) + 1
    centres = np.linspace(0, top, count)
    weights = masking_curve(centres[:, None] - bark(hertz))
    weights *= equal_loudness(600 * np.sinh(centres / 6))[:, None]
    lags, places = np.arange(count)[:, None], np.arange(count)
    cosines = np.cos(np.pi / (count - 1) * lags * places)
    cosines[:, 1:-1] *= 2  # these represent both halves of the spectrum
    cosines /= 2 * count - 2
    return Bands(scipy.sparse.csr_array(weights.astype(np.float32)), cosines.astype(np.float32))


def cepstra(power: np.ndarray, bands: Bands, *, order: int, coefficients: int) -> np.ndarray:
    """Cepstral coefficients of the all-pole models of spectra.

    Args:
        power: (frames, fft_size / 2 + 1) power spectra.
        bands: from ``make_bands``.
        order: order of the model, below the number of bands.
        coefficients: number of coefficients; the first is the log gain of the model.

    Returns:
        (frames, coefficients) float32.
    """
    if order >= len(bands.cosines):
        raise UsageError(
            f"a model of order {order} needs more than {len(bands.cosines)} critical bands",
            hint="Use a lower lpc_order or a higher sample rate",
        )
    loudness = np.cbrt(np.maximum(bands.weights @ power.T, _FLOOR))  # loudness (eq. 8)
    # The outermost bands extend beyond the spectrum and copy their neighbours.
    loudness[0], loudness[-1] = loudness[1], loudness[-2]
    predictor, error = solve_levinson((bands.cosines[: order + 1] @ loudness).T)
    return to_cepstra(predictor, error, coefficients)


def solve_levinson(autocorrelation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levinson-Durbin recursion on many sequences at once.

    Args:
        autocorrelation: (frames, order + 1).

    Returns:
        The predictor polynomials (frames, order), without their leading one, and the prediction
        errors (frames,).
    """
    frames, lags = autocorrelation.shape
    exact = autocorrelation.astype(np.float64)
    error = np.maximum(exact[:, 0], np.finfo(np.float64).tiny)
    predictor = np.zeros((frames, lags - 1))
    for lag in range(1, lags):
        known = predictor[:, : lag - 1]
        reached = exact[:, lag] + np.einsum("fl,fl->f", known, exact[:, lag - 1 : 0 : -1])
        reflection = -reached / error
        predictor[:, : lag - 1] = known + reflection[:, None] * known[:, ::-1]
        predictor[:, lag - 1] = reflection
        error = np.maximum(error * (1 - reflection**2), np.finfo(np.float64).tiny)
    return predictor, error


def to_cepstra(predictor: np.ndarray, error: np.ndarray, coefficients: int) -> np.ndarray:
    """The cepstrum of all-pole models, (frames, coefficients) float32 (Atal 1974)."""
    frames, order = predictor.shape
    found = np.zeros((frames, coefficients))
    found[:, 0] = np.log(error)
    for at in range(1, coefficients):
        value = -predictor[:, at - 1] if at <= order else np.zeros(frames)
        for before in range(max(1, at - order), at):
            value = value - before / at * found[:, before] * predictor[:, at - before - 1]
        found[:, at] = value
    return found.astype(np.float32)


def bark(hertz: float | np.ndarray) -> np.ndarray:
    """Hertz on the Bark scale (eq. 3, after Schroeder 1977)."""
    return 6 * np.arcsinh(np.asarray(hertz) / 600)


def masking_curve(distance: np.ndarray) -> np.ndarray:
    """The weight in a band of a tone at this distance below its centre, in Bark (eq. 4)."""
    rising = 10.0 ** (2.5 * (distance + 0.5))
    falling = 10.0 ** (0.5 - distance)
    curve = np.minimum(1.0, np.minimum(rising, falling))
    return np.where((distance < -1.3) | (distance > 2.5), 0.0, curve)


def equal_loudness(hertz: np.ndarray) -> np.ndarray:
    """The ear's sensitivity at about 40 dB (eq. 6, with the term of eq. 7 for above 5 kHz)."""
    squared = (2 * np.pi * np.asarray(hertz)) ** 2
    below = (squared + 56.8e6) * squared**2 / ((squared + 6.3e6) ** 2 * (squared + 0.38e9))
    return below / (1 + squared**3 / 9.58e26)
