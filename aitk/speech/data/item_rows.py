"""The rows of one item: resampled, cleaned and checked; several of a long recording."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.contract.rows import Refusal, Row
from aitk.core.privacy.redaction import Redactor
from aitk.speech.data.audio import (
    Clip,
    count_clipped,
    encode_audio,
    inspect_audio,
    one_channel,
    read_audio,
    refuse_length,
    stream_audio,
)
from aitk.speech.data.cleaning import clean, loudest_dbfs
from aitk.speech.data.feature_rows import feature_rows
from aitk.speech.data.formats.kaldi_files import MatrixPlace
from aitk.speech.data.items import Content, Item
from aitk.speech.data.options import AudioReading
from aitk.speech.data.transcripts import clean_transcript
from aitk.speech.features.voice_activity import cut_at_pauses
from aitk.speech.features.waveform import resampled


def rows_of(
    item: Item,
    reading: AudioReading,
    *,
    content: Content | None,
    split: str | None,
    kinds: Counter[str],
    redactor: Redactor | None = None,
) -> Iterator[Row | Refusal]:
    """The rows of one item: one, or several for a long recording without annotation.

    ``kinds`` counts the kinds of audio; ``redactor`` replaces personal data in transcripts.
    """
    fields: dict[str, Any] = {}
    if content == "text":
        text = item.content or ""
        fields["text"] = clean_transcript(text, reading, redactor)  # type: ignore[arg-type]
        if not fields["text"]:
            yield Refusal(item.file, item.line, "its text is empty after cleaning")
            return
    elif content == "label" and item.labels is not None:
        fields["labels"] = [*item.labels]
    elif content == "label" and getattr(reading, "has_many_labels", False):
        fields["labels"] = [normalise(item.content or "")]  # from its folder
    elif content == "label":
        fields["label"] = normalise(item.content or "")
        if len(fields["label"]) > MAX_LABEL_CHARACTERS:
            reason = f"its label is longer than {MAX_LABEL_CHARACTERS:,} characters"
            yield Refusal(item.file, item.line, reason)
            return
    if isinstance(item.audio, MatrixPlace):
        yield from feature_rows(item, item.audio, reading, fields, split=split, kinds=kinds)
        return
    try:
        pieces = _pieces(item, item.audio, reading, whole=content is not None)
        for silent, alike in itertools.groupby(pieces, lambda piece: _is_silent(piece, reading)):
            if silent:
                yield _silence(item, alike, reading)
                continue
            for start_s, clip, is_part in alike:
                kind = f"{clip.channels} channel{'s' * (clip.channels > 1)}"
                kinds[f"{clip.source_rate_hz:,} Hz, {kind}"] += 1
                yield _row(item, start_s, clip, is_part, fields, reading, split)
    except DataError as error:
        yield refusal_of(item, error)


def _row(
    item: Item,
    start_s: float,
    clip: Clip,
    is_part: bool,
    fields: Mapping[str, Any],
    reading: AudioReading,
    split: str | None,
) -> Row | Refusal:
    """The row of one recording, cleaned. A part of a longer one is named by its start."""
    end_s = start_s + clip.seconds
    try:
        samples, cut_s = clean(clip, reading)
    except DataError as error:
        return refusal_of(item, error, between=(start_s, end_s) if is_part else None)
    name, record = item.name, dict(item.record)
    if is_part:
        name = f"{item.name}-{round(start_s * 100):07}"
        record |= {"start": round(start_s, 3), "end": round(end_s, 3)}
    row = {
        "audio": encode_audio(samples, clip.sample_rate_hz),
        **fields,
        "speaker": item.speaker,
        "seconds": round(len(samples) / clip.sample_rate_hz, 4),
        "id": name,
        "start": round(start_s + cut_s, 4),
    }
    return Row(row, item.file, item.line, split, {} if fields else record)


def _pieces(
    item: Item, audio: Path | tuple[np.ndarray, int], reading: AudioReading, *, whole: bool
) -> Iterator[tuple[float, Clip, bool]]:
    """The start of each piece of an item, the piece, and whether it is only a part.

    A ``whole`` item is refused if too long; otherwise long recordings are cut at pauses, so that
    memory holds about one piece of an hours-long recording.
    """
    rate, max_s = reading.sample_rate_hz, reading.max_seconds
    channel = item.channel or reading.channel
    if isinstance(audio, tuple):
        values, own_rate = audio
        clip = _from_memory(values, own_rate, reading, channel)
        if clip.seconds <= max_s:
            yield 0.0, clip, False
            return
        if whole:
            refuse_length(clip.seconds, max_s)
        channels, blocks = clip.channels, iter([clip.samples])
    else:
        info = inspect_audio(audio)
        own_rate, channels = info.sample_rate_hz, info.channels
        seconds = min(item.end_s or info.seconds, info.seconds) - item.start_s
        if whole or seconds <= max_s:
            clip = read_audio(
                audio,
                sample_rate_hz=rate,
                channel=channel,
                start_s=item.start_s,
                end_s=item.end_s,
                max_s=max_s,
            )
            yield item.start_s, clip, False
            return
        blocks = stream_audio(
            audio,
            sample_rate_hz=rate,
            channel=channel,
            start_s=item.start_s,
            end_s=item.end_s,
        )
    for start_s, samples in cut_at_pauses(blocks, rate, max_s=max_s):
        clipped = count_clipped(samples) / len(samples)
        yield item.start_s + start_s, Clip(samples, rate, own_rate, channels, clipped), True


def _is_silent(piece: tuple[float, Clip, bool], reading: AudioReading) -> bool:
    """Whether a part of a recording is silent."""
    _, clip, is_part = piece
    return is_part and loudest_dbfs(clip) < reading.min_level_dbfs


def _silence(
    item: Item, parts: Iterable[tuple[float, Clip, bool]], reading: AudioReading
) -> Refusal:
    """A single refusal for consecutive silent parts, of which there may be thousands."""
    bounds = [(start_s, start_s + clip.seconds) for start_s, clip, _ in parts]
    error = DataError(
        f"is silent: all of it stays below {reading.min_level_dbfs:g} dBFS (--min-level-dbfs)"
    )
    return refusal_of(item, error, between=(bounds[0][0], bounds[-1][1]))


def _from_memory(values: np.ndarray, own_rate: int, reading: AudioReading, channel: str) -> Clip:
    """Convert samples (n,) or (n, channels) to a clip, as for a file."""
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        raise DataError("has samples that are not numbers (NaN or infinite)")
    clipped = count_clipped(values) / values.size
    mono = one_channel(values, channel)
    samples = np.clip(resampled(mono, own_rate, reading.sample_rate_hz), -1.0, 1.0)
    return Clip(samples, reading.sample_rate_hz, own_rate, values.shape[1], clipped)


def refusal_of(
    item: Item, error: DataError, *, between: tuple[float, float] | None = None
) -> Refusal:
    """A refusal that names the recording if its file lists many."""
    reason = error.what
    if between:
        reason = f"from {between[0]:.2f} to {between[1]:.2f} s it {reason}"
    if isinstance(item.audio, Path) and str(item.audio) != item.file:
        reason = f"{item.audio.name}: {reason}"
    return Refusal(item.file, item.line, reason)
