"""Attribution to regions of time and frequency: the score drop when each region is muted.

Occlusion (Zeiler and Fergus 2014, section 4.2) on the short-time Fourier transform: a region is
attenuated, the recording is resynthesised, and the whole chain from features on is run again. This
works for every kind of feature and every model format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.faithfulness import part_faithfulness

MAX_COLUMNS = 20
COLUMN_S = 0.05
BANDS = 8
FADE = 0.01  # gain of a muted region: -40 dB
WINDOW_S = 0.032

#: Maps recordings, (n,) samples each, to the log-odds of the explained prediction: unlike
#: probabilities, these also change where a model is confident.
LogOdds = Callable[[Sequence[np.ndarray]], np.ndarray]


def explain_audio(
    samples: np.ndarray, sample_rate_hz: int, log_odds: LogOdds, *, seed: int = 0
) -> dict[str, Any]:
    """Attribute a prediction to regions of a recording.

    Returns:
        ``regions``: start_s, end_s, low_hz, high_hz and weight of each (the drop in log-odds
        without it); ``parts``: the recording in order of time, with weights summed over the bands;
        ``faithfulness`` of the regions: see ``part_faithfulness``.
    """
    grid = _Grid(samples, sample_rate_hz)
    cells = [(column, band) for column in range(grid.columns) for band in range(BANDS)]
    values = log_odds([samples, *(grid.without([cell]) for cell in cells)])
    weights = (values[0] - values[1:]).reshape(grid.columns, BANDS)
    regions = [
        grid.place(column, band) | {"weight": round(float(weights[column, band]), 6)}
        for column, band in cells
    ]
    parts = []
    for column in range(grid.columns):
        place = grid.place(column, 0)
        text = f"{place['start_s']:.2f}-{place['end_s']:.2f} s "
        parts.append({"text": text, "weight": round(float(weights[column].sum()), 6)})
    faithfulness = part_faithfulness(
        weights.ravel(),
        lambda masks: _probability(
            log_odds([grid.without([cells[at] for at in np.flatnonzero(~mask)]) for mask in masks])
        ),
        seed=seed,
    )
    return {"parts": parts, "regions": regions, "faithfulness": faithfulness}


def _probability(log_odds: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(log_odds)


class _Grid:
    """A recording divided into time columns and bands of equal width on the mel scale."""

    def __init__(self, samples: np.ndarray, sample_rate_hz: int):
        from scipy.signal import ShortTimeFFT, get_window

        size = 2 * max(1, round(sample_rate_hz * WINDOW_S / 2))
        self._transform = ShortTimeFFT(
            get_window("hann", size), hop=max(1, size // 4), fs=sample_rate_hz
        )
        # A recording shorter than the window has no transform.
        self._samples, self._length = (
            np.pad(samples, (0, max(0, size - len(samples)))),
            len(samples),
        )
        self._spectrum = self._transform.stft(self._samples)  # (frequencies, frames)
        self.seconds = len(samples) / sample_rate_hz
        self.columns = max(1, min(MAX_COLUMNS, round(self.seconds / COLUMN_S)))
        self._edges_hz = _mel_edges(sample_rate_hz / 2)
        self._times_s = self._transform.t(len(self._samples))
        self._frequencies_hz = self._transform.f

    def place(self, column: int, band: int) -> dict[str, float]:
        """The time and frequency range of a region."""
        width_s = self.seconds / self.columns
        return {
            "start_s": round(column * width_s, 4),
            "end_s": round((column + 1) * width_s, 4),
            "low_hz": round(float(self._edges_hz[band]), 1),
            "high_hz": round(float(self._edges_hz[band + 1]), 1),
        }

    def without(self, cells: Sequence[tuple[int, int]]) -> np.ndarray:
        """The recording with some regions muted, (n,) float32."""
        gain = np.ones(self._spectrum.shape, np.float32)
        width_s = self.seconds / self.columns
        column_of = np.clip((self._times_s / width_s).astype(int), 0, self.columns - 1)
        band_of = np.searchsorted(self._edges_hz, self._frequencies_hz, side="right") - 1
        band_of = np.clip(band_of, 0, BANDS - 1)
        for column, band in cells:
            gain[np.ix_(band_of == band, column_of == column)] = FADE
        back = self._transform.istft(self._spectrum * gain, k1=len(self._samples))
        return back[: self._length].astype(np.float32)


def _mel_edges(highest_hz: float) -> np.ndarray:
    """(bands + 1,) edges from 0 to the highest frequency."""
    mel = np.linspace(0, 1127 * np.log1p(highest_hz / 700), BANDS + 1)
    return 700 * np.expm1(mel / 1127)
