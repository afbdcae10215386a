"""Other sample rates, by the SoX resampler: a linear-phase low-pass at its high quality."""

from __future__ import annotations

import numpy as np

QUALITY = "HQ"


def resampled(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """A sound (n,) at another rate, (about n * to_hz / from_hz,) float32."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples, from_hz, to_hz, quality=QUALITY)


class Resampler:
    """Resamples a sound that comes in blocks; the blocks' borders leave no trace."""

    def __init__(self, from_hz: int, to_hz: int):
        self._stream = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)

    def add(self, block: np.ndarray) -> np.ndarray:
        """What is ready after one more block (n,); it may be nothing yet."""
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))

    def finish(self) -> np.ndarray:
        """What was still held back."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
