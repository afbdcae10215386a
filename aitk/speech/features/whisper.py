"""Whisper's log-mel features (Radford et al. 2023, section 2.2).

Windows of 25 ms every 10 ms, Slaney's mel filters, log10, clipped 8 below the maximum.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

SAMPLE_RATE_HZ = 16000
WINDOW, SHIFT = 400, 160  # samples
WINDOW_S = 30  # window of the encoder
FRAMES = WINDOW_S * SAMPLE_RATE_HZ // SHIFT
LEAST_POWER = 1e-10
RANGE = 8.0  # dynamic range below the maximum, in log10
FRAMES_AT_ONCE = 500  # keeps the working set in the processor's cache


def whisper_features(samples: np.ndarray, *, filters: int, frames: int = FRAMES) -> np.ndarray:
    """The features of one recording.

    Args:
        samples: (n,) float32 in [-1, 1] at ``SAMPLE_RATE_HZ``.
        filters: mel filters: 80, or 128.
        frames: number of frames; shorter recordings are padded with silence, longer ones truncated.

    Returns:
        (frames, filters) float32.
    """
    from scipy.fft import rfft

    length, half = frames * SHIFT, WINDOW // 2
    kept = np.asarray(samples[:length], np.float32)
    # Frames after the end of the recording hold only the floor and need no computation.
    needed = min(frames, -(-(len(kept) + half) // SHIFT) + 1)
    kept = np.pad(kept, (0, min(length, needed * SHIFT + half) - len(kept)))
    padded = np.pad(kept, half, mode="reflect")
    cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SHIFT][:needed]
    logs = np.full((frames, filters), np.log10(np.float32(LEAST_POWER)))
    bank = _sparse_filters(filters)
    for start in range(0, needed, FRAMES_AT_ONCE):
        spectrum = rfft(cut[start : start + FRAMES_AT_ONCE] * _window())
        power = np.square(spectrum.real) + np.square(spectrum.imag)  # (frames, bins)
        inside = slice(start, start + len(power))
        logs[inside] = np.log10(np.maximum(bank @ power.T, LEAST_POWER)).T
    return (np.maximum(logs, logs.max() - RANGE) + 4.0) / 4.0


@functools.cache
def mel_filters(filters: int) -> np.ndarray:
    """(bins, filters) float32: equal-area triangles on Slaney's mel scale, from 0 to 8 kHz."""
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLE_RATE_HZ / 2), filters + 2))
    bins = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)


@functools.cache
def _sparse_filters(filters: int) -> Any:
    """(filters, bins): a sparse product runs on the caller's thread, while BLAS would contend for
    busy processors."""
    from scipy.sparse import csr_array

    return csr_array(mel_filters(filters).T)


@functools.cache
def _window() -> np.ndarray:
    """The periodic Hann window."""
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


#: Slaney's scale is linear up to 1 kHz (15 mel), and logarithmic above: 27 mel are a factor of 6.4.

_LINEAR, _BREAK_HZ, _BREAK_MEL, _STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _LINEAR
    return _BREAK_MEL + float(np.log(hertz / _BREAK_HZ)) / _STEP


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR, _BREAK_HZ * np.exp(_STEP * (mel - _BREAK_MEL)))
