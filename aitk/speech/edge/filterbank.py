"""Kaldi's filterbank, MFCC and spectrogram, by tables. Part of the scripts of bundles; NumPy
alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

FULL_SCALE = np.float32(32768)
FLOOR = np.finfo(np.float32).eps


def compute_features(
    samples: np.ndarray, settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Samples (n,) in [-1, 1] to features (frames, d) float32."""
    frames = cut_frames(samples, settings) * FULL_SCALE
    frames -= frames.mean(axis=1, keepdims=True)
    energies = np.einsum("fs,fs->f", frames, frames)
    if settings["preemphasis"]:
        before = np.float32(settings["preemphasis"]) * frames
        frames[:, 1:] -= before[:, :-1]
        frames[:, 0] -= before[:, 0]
    spectrum = np.fft.rfft(frames * tables["window"], n=settings["fft_size"], axis=1)
    found = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    if "filters" in tables:
        found = found @ tables["filters"]
    found = np.log(np.maximum(found, FLOOR))
    if "cosines" in tables:
        found = found @ tables["cosines"]
        if settings["energy"]:
            found[:, 0] = np.log(np.maximum(energies, FLOOR))
    found = add_slopes(found, settings["deltas"])
    if "mean" in tables:
        return ((found - tables["mean"]) * tables["scale"]).astype(np.float32)
    if settings["normalise"]:
        exact = found.astype(np.float64)
        mean = exact.mean(axis=0)
        variance = np.maximum((exact**2).mean(axis=0) - mean**2, settings["least_variance"])
        return ((found - mean) / np.sqrt(variance)).astype(np.float32)
    return found


def cut_frames(samples: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Overlapping frames (frames, length); a shorter recording has silence after it."""
    length, shift = settings["frame_samples"], settings["shift_samples"]
    shortest = length if settings["snip_edges"] else shift
    samples = np.pad(samples, (0, max(0, shortest - len(samples))))
    if settings["snip_edges"]:
        count = 1 + (len(samples) - length) // shift
    else:  # the ends are mirrored
        count = (len(samples) + shift // 2) // shift
        before = length // 2 - shift // 2
        after = max(0, (count - 1) * shift + length - before - len(samples))
        at = np.arange(-before, len(samples) + after) % (2 * len(samples))
        samples = samples[np.where(at < len(samples), at, 2 * len(samples) - 1 - at)]
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)
    return windows[::shift][:count].copy()


def add_slopes(features: np.ndarray, order: int, reach: int = 2) -> np.ndarray:
    """Append the first ``order`` derivatives to features (frames, d), as Kaldi does."""
    around = np.arange(-reach, reach + 1)
    slope = around / np.sum(around**2)
    parts, weights = [features], np.ones(1)
    for _ in range(order):
        weights = np.convolve(weights, slope)
        width = len(weights) // 2
        padded = np.pad(features, ((width, width), (0, 0)), mode="edge")
        shifted = [padded[at : at + len(features)] for at in range(len(weights))]
        parts.append(np.tensordot(weights.astype(np.float32), np.stack(shifted), axes=1))
    return np.hstack(parts)
