"""Pitch and voicing of each frame, by normalised cross-correlation.

Talkin 1995 (RAPT) with the single Viterbi pass and the lags of Ghahremani et al. 2014: every frame
gets a pitch, including unvoiced ones, so the contour is continuous.
"""

from __future__ import annotations

import numpy as np

from aitk.speech.data.options import FeatureSettings
from aitk.speech.features.waveform import resampled

LOWEST_HZ, HIGHEST_HZ = 50.0, 400.0
RATE_HZ = 4000  # sufficient for pitch; the cost of correlations is quadratic in it
#: Ratio of neighbouring lags. A jump costs the squared logarithm of its factor times the weight;
#: low pitches have a small cost, since every multiple of a period fits as well.
LAG_STEP, JUMP_COST, LOW_COST = 0.01, 10.0, 10.0
#: Limits the correlation of near-silence, as a share of the recording's mean energy.
BALLAST = 1e-3


def pitch(samples: np.ndarray, settings: FeatureSettings, *, frames: int) -> np.ndarray:
    """Voicing and log pitch of every frame.

    Args:
        samples: (n,) at ``settings.sample_rate_hz``.
        frames: number of frames, from ``features.frame_count``.

    Returns:
        (frames, 2) float32: the normalised cross-correlation in [-1, 1], and the natural
        logarithm of the pitch in hertz.
    """
    if frames == 0:
        return np.zeros((0, 2), np.float32)
    lags_s, correlations = correlate(samples, settings, frames=frames)
    path = find_path(lags_s, correlations)
    voicing = correlations[np.arange(frames), path]
    return np.stack([voicing, -np.log(lags_s[path])], axis=1).astype(np.float32)


def correlate(
    samples: np.ndarray, settings: FeatureSettings, *, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lags in seconds (lags,) in a geometric series, and each frame's correlation at them."""
    slow = resampled(samples, settings.sample_rate_hz, RATE_HZ).astype(np.float64)
    shortest = int(RATE_HZ / HIGHEST_HZ) - 2
    longest = int(np.ceil(RATE_HZ / LOWEST_HZ)) + 2
    width = round(settings.frame_ms * RATE_HZ / 1000)
    starts = np.round(np.arange(frames) * settings.shift_ms * RATE_HZ / 1000).astype(int)
    if not settings.snip_edges:
        starts -= (width - round(settings.shift_ms * RATE_HZ / 1000)) // 2
    padding = width + longest
    padded = np.pad(slow, (padding, 2 * padding + frames))
    spans = np.lib.stride_tricks.sliding_window_view(padded, padding)[starts + padding]
    spans = spans - spans[:, :width].mean(axis=1, keepdims=True)
    reference = spans[:, :width]
    lags = np.arange(shortest, longest)
    products = np.stack(
        [np.einsum("fs,fs->f", reference, spans[:, lag : lag + width]) for lag in lags], axis=1
    )
    running = np.pad(np.cumsum(spans**2, axis=1), ((0, 0), (1, 0)))
    energies = running[:, lags + width] - running[:, lags]  # (frames, lags)
    ballast = BALLAST * (width * np.mean(slow**2) + 1e-12) ** 2
    scale = np.sqrt(energies * running[:, [width]] + ballast)
    fine = np.geomspace(
        1 / HIGHEST_HZ, 1 / LOWEST_HZ, int(np.log(HIGHEST_HZ / LOWEST_HZ) / LAG_STEP) + 1
    )
    return fine, np.clip((products / scale) @ _between(lags, fine * RATE_HZ), -1.0, 1.0)


def find_path(lags_s: np.ndarray, correlations: np.ndarray) -> np.ndarray:
    """The path of minimum cost: the lag number of each frame, (frames,)."""
    local = 1 - correlations * (1 - LOW_COST * lags_s)  # (frames, lags)
    logs = np.log(lags_s)
    jumps = JUMP_COST * (logs[:, None] - logs) ** 2  # (to, from)
    cost = local[0]
    best = np.zeros(local.shape, np.int32)
    for frame in range(1, len(local)):
        through = jumps + cost
        best[frame] = through.argmin(axis=1)
        cost = through[np.arange(len(cost)), best[frame]] + local[frame]
    path = np.empty(len(local), np.int64)
    path[-1] = cost.argmin()
    for frame in range(len(local) - 1, 0, -1):
        path[frame - 1] = best[frame, path[frame]]
    return path


def _between(whole: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights (whole, wanted) for interpolation at fractional positions: a windowed sinc."""
    distance = wanted - whole[:, None]
    reach = 5.0
    window = np.where(np.abs(distance) < reach, 0.5 + 0.5 * np.cos(np.pi * distance / reach), 0.0)
    return np.sinc(distance) * window
