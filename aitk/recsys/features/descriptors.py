"""Model-free descriptors of images and audio: colours and shape, or timbre.

The simplest vectors for comparing items by their files; those of an encoder are more informative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Reporter

COLOUR_BINS = 6  # per colour axis
THUMBNAIL = 8  # pixels per side
_WORKING_SIDE = 96  # maximum pixels per side of the analysed image

SAMPLE_RATE_HZ = 16_000
MOST_SECONDS = 60  # analysed length of audio, from its start
MEL_BANDS, COEFFICIENTS = 40, 20
_LEAST_RATE_HZ, _MOST_RATE_HZ = 1_000, 400_000  # headers are untrusted
_FRAME, _HOP = 512, 256  # samples: 32 and 16 ms
_MOST_VALUES = 50_000_000  # maximum samples times channels read per file


def describe_files(
    paths: Sequence[str | None], kind: str, *, reporter: Reporter
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Compute descriptors of files.

    Args:
        paths: None for items without a file.
        kind: ``picture`` or ``audio``.
        reporter: shows the progress.

    Returns:
        (files, d) float32, with zero rows for missing or unreadable files; and the path and reason
        of unreadable ones.
    """
    describe = _DESCRIBERS[kind]
    rows: list[np.ndarray | None] = []
    refused = []
    for path in reporter.track(paths, f"describing {kind} files", total=len(paths)):
        rows.append(None)
        if path is not None:
            try:
                rows[-1] = describe(Path(path))
            except DataError as error:
                refused.append((path, error.what))
    size = next((len(row) for row in rows if row is not None), 1)
    described = np.zeros((len(paths), size), np.float32)
    for number, row in enumerate(rows):
        if row is not None:
            described[number] = row
    return described, refused


def describe_image(path: Path) -> np.ndarray:
    """The colours of an image, and its light and dark areas.

    Returns:
        (COLOUR_BINS ** 3 + THUMBNAIL ** 2,) float32: the root of a soft histogram in CIE Lab, so
        that the dot product is the Bhattacharyya coefficient, then a thumbnail's deviation from its
        mean grey.

    Raises:
        DataError: see ``read_image``.
    """
    import cv2

    from aitk.core.io.images import read_image

    picture = read_image(path)
    scale = _WORKING_SIDE / max(picture.shape[:2])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)
    # sRGB covers only a part of the two colour axes.
    histogram = cv2.calcHist([lab], [0, 1, 2], None, [COLOUR_BINS] * 3, [0, 256, 40, 228, 18, 226])
    for axis in range(3):
        histogram = _blurred(histogram, axis)
    grey = cv2.resize(lab[..., 0], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    grey = grey.astype(np.float32) / 255
    colours = np.sqrt(histogram.ravel() / histogram.sum())
    return np.concatenate([colours, (grey - grey.mean()).ravel() / THUMBNAIL]).astype(np.float32)


def describe_audio(path: Path) -> np.ndarray:
    """The timbre of audio: mean and deviation of its mel-frequency cepstral coefficients.

    Davis and Mermelstein 1980; for music, Tzanetakis and Cook 2002, section III-A.

    Returns:
        (2 * COEFFICIENTS,) float32.

    Raises:
        DataError: the file is missing or has no audio.
    """
    from scipy import fft

    samples = _read_audio(path)
    samples = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    power = np.abs(fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), axis=1)) ** 2
    mel = np.log(power @ _mel_filters().T + 1e-6)  # (frames, bands)
    cepstrum = fft.dct(mel, type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    # The spread of coefficients over typical audio falls with their index: this compensates.
    weight = np.sqrt(1 + np.arange(COEFFICIENTS)) / 10
    described = np.concatenate([cepstrum.mean(axis=0) * weight, cepstrum.std(axis=0) * weight])
    return described.astype(np.float32)


_DESCRIBERS: dict[str, Callable[[Path], np.ndarray]] = {
    "picture": describe_image,
    "audio": describe_audio,
}


def _blurred(histogram: np.ndarray, axis: int) -> np.ndarray:
    """Share each bin with its neighbours, so that colours near an edge stay similar."""
    edge = [(1, 1) if number == axis else (0, 0) for number in range(histogram.ndim)]
    padded = np.moveaxis(np.pad(histogram, edge, mode="edge"), axis, 0)
    return np.moveaxis((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, 0, axis)


def _read_audio(path: Path) -> np.ndarray:
    """(samples,) float32 at 16 kHz, the mean of all channels, at most one minute."""
    import soundfile
    from scipy.signal import resample_poly

    where = str(path)
    try:
        # A pipe or device could be endless.
        if not path.is_file():
            raise DataError("no such file", where=where)
        with soundfile.SoundFile(path) as file:
            rate, channels = file.samplerate, file.channels
            if not _LEAST_RATE_HZ <= rate <= _MOST_RATE_HZ:
                raise DataError(f"has a sample rate of {rate} Hz", where=where)
            most = min(MOST_SECONDS * rate, _MOST_VALUES // channels)
            samples = file.read(most, dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise DataError("is not a readable audio file", where=where) from error
    if not len(samples) or not np.isfinite(samples).all():
        raise DataError("has no audio", where=where)
    if rate == SAMPLE_RATE_HZ:
        return samples
    divisor = np.gcd(rate, SAMPLE_RATE_HZ)
    return resample_poly(samples, SAMPLE_RATE_HZ // divisor, rate // divisor).astype(np.float32)


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """(bands, frequencies) triangles, evenly spaced on O'Shaughnessy's mel scale (1987)."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, MEL_BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE_HZ)
    low, centre, high = (edges_hz[at : at + MEL_BANDS, None] for at in range(3))
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
