"""Steady noise made weaker: a spectral gate."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.ndimage

#: Cells this much above the mean noise of their frequency pass: noise alone does so in 2%.
THRESHOLD_DB = 6.0
#: The powers of Gaussian noise are exponentially distributed: this percentile of them is so far
#: below their mean.
QUIET_PERCENTILE = 15
BELOW_MEAN_DB = -10 * np.log10(-np.log(1 - QUIET_PERCENTILE / 100))
#: Neighbours in time (frames) and in frequency (bins) over which the gate opens and shuts softly.
SOFTNESS = (3, 5)
WINDOW_S = 0.032


def reduce_noise(samples: np.ndarray, sample_rate_hz: int, *, reduce_db: float) -> np.ndarray:
    """Attenuate what never rises above the quiet parts of a recording.

    The noise of each frequency is estimated by a low percentile over time, so no stretch of pure
    noise has to be given. Spectrogram cells that do not exceed it by a threshold are attenuated by
    ``reduce_db``, with the gate smoothed over time and frequency. Unlike spectral subtraction (Boll
    1979), such a gate, as in audio editors, leaves speech unchanged.

    Args:
        samples: (n,) in [-1, 1].
        reduce_db: attenuation; 0 returns the samples unchanged.

    Returns:
        (n,) float32.
    """
    if reduce_db <= 0 or not len(samples):
        return samples
    size = 1 << round(WINDOW_S * sample_rate_hz - 1).bit_length()
    hop = size // 4
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    count = -(-(len(samples) + size) // hop) + 1
    padded = np.zeros((count - 1) * hop + size, np.float32)
    padded[size : size + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    spectrum = scipy.fft.rfft(frames, axis=1)  # (frames, bins)
    levels = 20 * np.log10(np.maximum(np.abs(spectrum), 1e-9))
    real = slice(4, max(5, count - 4))  # frames without padding, if there are any
    noise = np.percentile(levels[real], QUIET_PERCENTILE, axis=0) + BELOW_MEAN_DB
    opened = (levels > noise + THRESHOLD_DB).astype(np.float32)
    # Half of the neighbours open the gate: harmonics are narrow, while passing noise is isolated.
    opened = np.minimum(1, 2 * scipy.ndimage.uniform_filter(opened, SOFTNESS, mode="nearest"))
    least = np.float32(10 ** (-reduce_db / 20))
    frames = scipy.fft.irfft(spectrum * (least + (1 - least) * opened), n=size, axis=1)
    frames *= window
    gathered = np.zeros_like(padded)
    for at, each in enumerate(frames):
        gathered[at * hop : at * hop + size] += each
    # Four square-rooted Hann windows, each used twice, overlap to a constant 2.
    return (gathered[size : size + len(samples)] / 2).astype(np.float32)
