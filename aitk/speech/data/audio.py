"""Reading of audio files in blocks, by content, and the stored audio of rows.

Formats: wav, flac, ogg, opus, mp3, aiff and the others of libsndfile; m4a, aac, wma and videos
through FFmpeg. Headers are not trusted: memory grows with the data actually read, and a file that
is shorter than its header declares is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.files import check_file
from aitk.core.io.names import shorten
from aitk.core.io.values import to_count
from aitk.core.runtime.silence import suppress_stderr
from aitk.speech.data.formats import containers
from aitk.speech.data.formats.kaldi_files import matrix_columns
from aitk.speech.features.waveform import resampled

#: File suffixes of recordings in a folder.
SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au",
    ".w64", ".rf64", ".caf", ".sph", *containers.SUFFIXES,
)  # fmt: skip
BLOCK_S = 10.0
MOST_CHANNELS = 32
RATES_HZ = (1000, 768_000)
#: A cut may end this long after the recording: times in manifests are rounded.
CUT_TOLERANCE_S = 0.5
#: Samples this far beyond full scale use another scale than floating-point audio.
LARGEST = 64.0
FULL = 32767 / 32768

# From libsndfile's own log: the declared and the actual size of the data chunk.
_PROMISED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED = 0x7FFF0000  # writers to a pipe do not know the length and declare a maximum
_MISCOUNTED = re.compile(r"does not match value from|not equal to frame count")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording in memory.

    Attributes:
        samples: (n,) float32 in [-1, 1], one channel.
        sample_rate_hz: rate of ``samples``.
        source_rate_hz: rate of the file.
        channels: channels of the file.
        clipped: share of the file's samples in runs at or beyond full scale.
    """

    samples: np.ndarray
    sample_rate_hz: int
    source_rate_hz: int
    channels: int
    clipped: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class Info:
    """Header information of a file: its own rate, channels and seconds."""

    sample_rate_hz: int
    channels: int
    seconds: float


def read_audio(
    source: str | Path | bytes,
    *,
    sample_rate_hz: int,
    channel: str = "mix",
    start_s: float = 0.0,
    end_s: float | None = None,
    max_s: float | None = None,
) -> Clip:
    """Read a recording, or a cut of it, as one channel at a given rate.

    Args:
        source: a file, or its bytes.
        sample_rate_hz: target rate.
        channel: ``mix`` for the mean of all channels, or a number from 1.
        start_s: start of the cut.
        end_s: end of the cut; None for the end of the recording.
        max_s: longer recordings are refused.

    Raises:
        DataError: it is unreadable, empty, truncated or too long, or a sample is not a number.
    """
    with _opened(source) as file:
        rate, channels = file.samplerate, file.channels
        first, last = _cut(file, start_s, end_s, where=_name(source))
        if max_s is not None and last - first > max_s * rate:
            refuse_length((last - first) / rate, max_s, where=_name(source))
        parts, clipped = [], 0
        for block in _blocks(file, first, last, where=_name(source)):
            clipped += count_clipped(block)
            parts.append(one_channel(block, channel))
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise DataError("the recording is empty", where=_name(source))
    share = clipped / (len(samples) * channels)
    samples = resampled(samples, rate, sample_rate_hz)
    return Clip(np.clip(samples, -1.0, 1.0), sample_rate_hz, rate, channels, share)


def stream_audio(
    source: str | Path | bytes,
    *,
    sample_rate_hz: int,
    channel: str = "mix",
    start_s: float = 0.0,
    end_s: float | None = None,
    block_s: float = BLOCK_S,
) -> Iterator[np.ndarray]:
    """Yield a recording of any length in blocks (n,) float32, equal to ``read_audio``.

    Memory use is about one block, at any length.
    """
    from aitk.speech.features.waveform import Resampler

    with _opened(source) as file:
        name = _name(source)
        resampler = Resampler(file.samplerate, sample_rate_hz)
        first, last = _cut(file, start_s, end_s, where=name)
        for block in _blocks(file, first, last, where=name, block_s=block_s):
            samples = resampler.add(one_channel(block, channel))
            if len(samples):
                yield np.clip(samples, -1.0, 1.0)
        samples = resampler.finish()
        if len(samples):
            yield np.clip(samples, -1.0, 1.0)


def inspect_audio(source: str | Path | bytes) -> Info:
    """Read only the header information of a file.

    Raises:
        DataError: it cannot be opened as audio.
    """
    with _opened(source) as file:
        return Info(file.samplerate, file.channels, file.frames / file.samplerate)


def encode_audio(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """Encode audio as a mono 16-bit FLAC file, the form in which rows store it.

    Args:
        samples: (n,) in [-1, 1]; values beyond are clipped.
    """
    import soundfile

    scaled = np.round(np.asarray(samples, np.float64) * 32768)
    whole = np.clip(scaled, -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_audio(audio: bytes) -> tuple[np.ndarray, int]:
    """The samples (n,) float32 of stored audio, and its rate.

    Raises:
        DataError: the bytes are not audio with one channel.
    """
    import soundfile

    if columns := matrix_columns(audio):
        raise DataError(
            f"audio is needed, but a row has features with {columns} columns",
            hint="Prepare the recordings (wav.scp)",
        )
    try:
        samples, rate = soundfile.read(io.BytesIO(audio), dtype="float32")
    except soundfile.SoundFileError as error:
        raise DataError(f"stored audio is damaged ({_reason(error)})") from error
    if samples.ndim != 1:
        raise DataError(f"stored audio has {samples.shape[1]} channels instead of one")
    return samples, rate


def content_key(audio: bytes) -> str:
    """A key for stored audio or stored features: equal samples have equal keys.

    For audio, the MD5 of the samples in the first block of a FLAC file (RFC 9639, section 8.2),
    which does not depend on the version of the encoder.
    """
    if matrix_columns(audio):
        return hashlib.md5(audio, usedforsecurity=False).hexdigest()
    if audio[:4] != b"fLaC" or len(audio) < 42:
        raise DataError("stored audio is not a FLAC file")
    return audio[26:42].hex()


def one_channel(samples: np.ndarray, channel: str) -> np.ndarray:
    """(n, channels) to (n,): the mean of all for ``mix``, or the channel of a number from 1.

    Raises:
        DataError: there is no such channel.
    """
    if channel == "mix":
        return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    number = to_count(channel)
    if number is None or not 1 <= number <= samples.shape[1]:
        raise DataError(f"has no channel {shorten(channel)}, only {samples.shape[1]}")
    return np.ascontiguousarray(samples[:, number - 1])


def count_clipped(samples: np.ndarray) -> int:
    """Number of clipped samples among (n,) or (n, channels).

    A single sample at full scale is merely loud; two or more in a row are clipped.
    """
    full = np.abs(samples) >= FULL
    if not full.any():
        return 0
    full = full.reshape(len(full), -1)
    neighbours = np.zeros_like(full)
    neighbours[1:] |= full[:-1]
    neighbours[:-1] |= full[1:]
    return int((full & neighbours).sum())


def refuse_length(seconds: float, max_s: float, *, where: str | None = None) -> NoReturn:
    """Raise the ``DataError`` of a recording that is too long."""
    raise DataError(
        f"lasts {seconds:,.1f} s, over the limit of {max_s:g} s (--max-seconds)",
        where=where,
        hint="Cut it (columns start and end), or raise the limit",
    )


def _opened(source: str | Path | bytes) -> Any:
    """Open a file by its content, regardless of its name."""
    import soundfile

    name = _name(source)
    if isinstance(source, bytes):
        opened: Any = io.BytesIO(source)
        size = len(source)
    else:
        path = Path(source)
        check_file(path)
        size = path.stat().st_size
        opened = os.fsencode(path)  # a name may not be valid text
        if path.suffix.lower() == ".raw":  # for this suffix, libsndfile would skip the header
            try:
                opened = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", where=name) from error
    if size == 0:
        raise DataError("the file is empty", where=name)
    try:
        file: Any = soundfile.SoundFile(opened)
    except soundfile.SoundFileError as error:
        file = containers.open_container(
            source if isinstance(source, bytes) else Path(source), where=name
        )
        if file is None:
            raise DataError(
                f"cannot be read as audio ({_reason(error)})",
                where=name,
                hint="Use wav, flac, ogg, opus, mp3, aiff, m4a or a video",
            ) from error
    problem = _problem(file)
    if problem:
        file.close()
        raise DataError(problem, where=name)
    return file


def _problem(file: Any) -> str | None:
    """The fault of an opened file according to its header, or None."""
    if not 1 <= file.channels <= MOST_CHANNELS:
        return f"has {file.channels} channels, over the limit of {MOST_CHANNELS}"
    if not RATES_HZ[0] <= file.samplerate <= RATES_HZ[1]:
        return f"has {file.samplerate:,} samples per second, which is not an audio sample rate"
    log = file.extra_info
    if (found := _PROMISED.search(log)) and 0 < int(found[1]) < _STREAMED:
        share = int(found[2]) / int(found[1])
        if share < 1:
            return f"is truncated: its header declares more, {share:.0%} of it is present"
    if _MISCOUNTED.search(log):
        return "is truncated: its header declares more than is present"
    return None


def _cut(file: Any, start_s: float, end_s: float | None, *, where: str) -> tuple[int, int]:
    """The first sample of a cut, and the one after its end."""
    rate, frames = file.samplerate, file.frames
    if frames <= 0:
        raise DataError("the recording is empty", where=where)
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise DataError(f"cannot be cut from {start_s:g} s to {end_s} s", where=where)
    first = round(start_s * rate)
    if first >= frames:
        raise DataError(
            f"the cut begins at {start_s:g} s, but the recording ends at {frames / rate:.2f} s",
            where=where,
        )
    if end_s is None:
        return first, frames
    if end_s > frames / rate + CUT_TOLERANCE_S:
        raise DataError(
            f"the cut ends at {end_s:g} s, but the recording at {frames / rate:.2f} s", where=where
        )
    return first, min(round(end_s * rate), frames)


def _blocks(
    file: Any, first: int, last: int, *, where: str, block_s: float = BLOCK_S
) -> Iterator[np.ndarray]:
    """The samples from ``first`` to ``last`` in blocks (n, channels) float32, all finite."""
    import soundfile

    size = max(1, round(block_s * file.samplerate))
    left = last - first
    # The MP3 decoder warns about frames that every seek leaves incomplete.
    quiet = suppress_stderr if file.format == "MP3" else contextlib.nullcontext
    try:
        if first:
            with quiet():
                file.seek(first)
        while left > 0:
            with quiet():
                block = file.read(min(size, left), dtype="float32", always_2d=True)
            if not len(block):
                break
            left -= len(block)
            largest = np.abs(block).max()
            if not np.isfinite(largest):
                raise DataError("has samples that are not numbers (NaN or infinite)", where=where)
            if largest > LARGEST:
                raise DataError(
                    f"its samples reach {largest:,.0f}, but full scale is 1",
                    where=where,
                    hint="Scale them, or store them as integers",
                )
            yield block
    except soundfile.SoundFileError as error:
        raise DataError(f"is damaged ({_reason(error)})", where=where) from error
    if left > 0:
        share = 1 - left / (last - first)
        raise DataError(
            f"is truncated: its header declares more, {share:.0%} of it is present", where=where
        )


def _reason(error: Exception) -> str:
    """The message of libsndfile without its object name."""
    text = getattr(error, "error_string", "") or str(error)
    return text.strip().removeprefix("Error : ").rstrip(".")


def _name(source: str | Path | bytes) -> str:
    return "audio" if isinstance(source, bytes) else str(source)
