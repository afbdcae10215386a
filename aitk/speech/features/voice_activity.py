"""Voice activity detection by frame energy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from aitk.speech.features.waveform import SHIFT_S, frame_levels_dbfs

#: Speech is at least this much above the noise, and at most that much below the loudest parts.
LEAST_ABOVE_NOISE_DB, MOST_BELOW_PEAK_DB = 6.0, 40.0
#: Shorter gaps are part of speech (the closure of a plosive takes 0.1 s); shorter bursts are noise.
SHORTEST_PAUSE_S, SHORTEST_SPEECH_S = 0.2, 0.05
MARGIN_S = 0.1


def find_speech(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Whether each frame of 10 ms contains speech: (frames,) bool.

    The threshold is a third of the way from the noise (10th percentile of the levels) to the
    loudest parts (95th percentile).
    """
    levels = frame_levels_dbfs(samples, sample_rate_hz)
    noise, peak = np.percentile(levels, [10, 95])
    threshold = noise + max(LEAST_ABOVE_NOISE_DB, (peak - noise) / 3)
    speaks = levels >= max(threshold, peak - MOST_BELOW_PEAK_DB)
    if peak - noise < LEAST_ABOVE_NOISE_DB:  # too little contrast to separate speech and noise
        return np.ones(len(levels), bool)
    speaks = _without_short(speaks, False, round(SHORTEST_PAUSE_S / SHIFT_S))
    return _without_short(speaks, True, round(SHORTEST_SPEECH_S / SHIFT_S))


def speech_bounds(samples: np.ndarray, sample_rate_hz: int) -> tuple[int, int]:
    """The first sample of speech in (n,), and the one after its end, with a margin of 0.1 s.

    The whole recording if speech and noise cannot be separated.
    """
    frames = np.flatnonzero(find_speech(samples, sample_rate_hz))
    if not len(frames):
        return 0, len(samples)
    first = frames[0] * SHIFT_S - MARGIN_S
    last = (frames[-1] + 1) * SHIFT_S + 0.015 + MARGIN_S  # a frame extends 15 ms beyond its shift
    return (
        max(0, round(first * sample_rate_hz)),
        min(len(samples), round(last * sample_rate_hz)),
    )


def cut_at_pauses(
    blocks: Iterable[np.ndarray], sample_rate_hz: int, *, max_s: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Split a long recording in the middle of its pauses.

    Args:
        blocks: the recording in order, (n,) float32 each.
        max_s: maximum length of a piece. A piece ends in its second half, at the longest pause, or
            without one at the quietest frame. The last piece may be shorter, but at least one
            second or half of ``max_s``.

    Yields:
        The start of each piece in seconds, and its samples. Together they are the whole recording;
        memory holds about one piece.
    """
    longest = round(max_s * sample_rate_hz)
    ahead = min(sample_rate_hz, longest // 2)  # reserved for the last piece
    held = np.zeros(0, np.float32)
    begun = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > longest + ahead:
            place = _best_place(held[:longest], sample_rate_hz)
            yield begun / sample_rate_hz, held[:place]
            begun, held = begun + place, held[place:]
    if len(held) > longest:
        place = _best_place(held[: len(held) - ahead], sample_rate_hz)
        yield begun / sample_rate_hz, held[:place]
        begun, held = begun + place, held[place:]
    if len(held):
        yield begun / sample_rate_hz, held


def _best_place(samples: np.ndarray, sample_rate_hz: int) -> int:
    """The sample in the second half at which to split."""
    levels = frame_levels_dbfs(samples, sample_rate_hz)
    half = len(levels) // 2
    silent = ~find_speech(samples, sample_rate_hz)[half:]
    runs = list(_runs(silent, True))
    if runs:
        first, last = max(runs, key=lambda run: (run[1] - run[0], run[0]))
        frame = half + (first + last) // 2
    else:
        frame = half + int(np.argmin(levels[half:]))
    place = round((frame * SHIFT_S + 0.0125) * sample_rate_hz)  # centre of the frame
    return min(max(-(-len(samples) // 2), place), len(samples))


def _without_short(flags: np.ndarray, value: bool, shortest: int) -> np.ndarray:
    """Flip inner runs of ``value`` shorter than ``shortest`` frames."""
    flags = flags.copy()
    for first, last in list(_runs(flags, value)):
        inside = value or (first > 0 and last < len(flags))
        if last - first < shortest and inside:
            flags[first:last] = not value
    return flags


def _runs(flags: np.ndarray, value: bool) -> Iterator[tuple[int, int]]:
    """The first frame, and the one after the end, of every run of ``value``."""
    edges = np.diff(np.concatenate([[False], flags == value, [False]]).astype(np.int8))
    yield from zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
