"""Spectrograms as small PNG images, for reports."""

from __future__ import annotations

import numpy as np

from aitk.core.io.images import encode_png
from aitk.speech.data.options import FeatureSettings
from aitk.speech.features.signal import features

WIDEST, HEIGHT = 480, 80
RANGE_DB = 70.0
# Dark blue via red to pale yellow, with linearly increasing lightness; safe for colour-blind eyes.
_STOPS = np.array(
    [[4, 5, 30], [52, 16, 104], [134, 37, 120], [214, 68, 88], [250, 148, 80], [252, 250, 196]]
)


def spectrogram_png(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """An image of a recording (n,): time to the right, mel filters upwards, 70 dB of range."""
    levels = mel_levels(samples, sample_rate_hz)
    if len(levels) > WIDEST:  # average neighbouring frames
        edges = np.linspace(0, len(levels), WIDEST + 1).astype(int)[:-1]
        counts = np.diff(np.append(edges, len(levels)))
        levels = np.add.reduceat(levels, edges, axis=0) / counts[:, None]
    shares = (levels - levels.max()) / RANGE_DB + 1
    return colour_png(np.clip(shares, 0, 1).T[::-1])


def mel_levels(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Mel filter levels in dB every 10 ms of a recording (n,): (frames, filters), never empty."""
    settings = FeatureSettings(
        filters=min(HEIGHT, sample_rate_hz // 200),
        normalise="none",
        snip_edges=False,
        sample_rate_hz=sample_rate_hz,
    )
    levels = features(samples, settings) * (10 / np.log(10))
    return levels if len(levels) else np.zeros((1, settings.filters), np.float32)


def colour_png(shares: np.ndarray) -> bytes:
    """An image of values in 0..1, (height, width), in the colours of ``palette``."""
    indices = np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return encode_png(palette()[indices], few_colours=True)


def palette() -> np.ndarray:
    """The colour map, (256, 3) uint8."""
    places = np.linspace(0, len(_STOPS) - 1, 256)
    return np.stack(
        [np.interp(places, range(len(_STOPS)), _STOPS[:, part]) for part in range(3)], axis=1
    ).astype(np.uint8)
