"""Reads rows of audio from the user's files: resampled, cleaned, checked.

A row is ``{"audio", "text" or "label", "speaker", "seconds", "id"}``, where ``audio`` is a mono
16-bit FLAC file, or a matrix of precomputed features.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, once
from aitk.core.io.lines import check_file
from aitk.core.io.names import split_named
from aitk.core.io.tables import SUFFIXES as TABLE_SUFFIXES
from aitk.core.io.tables import file_suffix
from aitk.core.io.tfds_source import PREFIX
from aitk.speech.data.audio import (
    SUFFIXES,
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
from aitk.speech.data.feature_rows import SameKind, feature_rows
from aitk.speech.data.items import Item
from aitk.speech.data.kaldi_files import MatrixPlace
from aitk.speech.data.kaldi_folders import read_features
from aitk.speech.data.layouts import read_files, read_folder
from aitk.speech.data.manifests import read_manifest
from aitk.speech.data.options import AudioReading, LabelledAudioReading
from aitk.speech.data.speakers import choose_speakers
from aitk.speech.data.tfds_audio import read_tfds
from aitk.speech.data.transcripts import clean_transcript
from aitk.speech.features.voice_activity import cut_at_pauses
from aitk.speech.features.waveform import resampled

#: The required annotation of rows.
Content = Literal["text", "label"]


def read_audio_rows(
    sources: Sequence[str],
    reading: AudioReading,
    *,
    content: Content | None,
    labelled: bool,
    note: Note,
    check: Callable[[Mapping[str, Any]], str | None] | None = None,
) -> Iterator[Row | Refusal]:
    """Stream rows of recordings; refusals take the place of unusable recordings.

    Args:
        sources: audio files, folders, manifests, ``-`` for a manifest on stdin, ``tfds:NAME``.
        content: content of the task's rows: a text, a label, or neither.
        labelled: rows must have the content. If False, ``Row.record`` has the original record,
            recordings longer than ``max_seconds`` are cut at pauses (as they are without content),
            and the field ``start`` is the second at which the row begins in its file.
        note: receives notes on automatic decisions.
        check: returns why a row is unusable, or None (such as a text too long for its recording).

    Raises:
        DataError: a source is missing or has nothing to read, or its columns are ambiguous.

    """
    kinds: Counter[str] = Counter()
    for _, row in read_audio_records(
        sources,
        reading,
        content=content,
        labelled=labelled,
        note=note,
        check=check,
        kinds=kinds,
    ):
        yield row
    if labelled:
        for sentence in notes_on_kinds(kinds):
            note(sentence)


def read_audio_records(
    sources: Sequence[str],
    reading: AudioReading,
    *,
    content: Content | None,
    labelled: bool,
    note: Note,
    check: Callable[[Mapping[str, Any]], str | None] | None = None,
    kinds: Counter[str],
    wanted: Callable[[int], bool] = lambda number: True,
) -> Iterator[tuple[int, Row | Refusal]]:
    """Stream the rows of wanted recordings, each with the number of its recording from 0.

    Args:
        sources, reading, ...: see ``read_audio_rows``.
        kinds: counts the kinds of audio; see ``notes_on_kinds``.
        wanted: other recordings are not opened.
    """
    due = content if labelled else None
    note = once(note)
    same_kind = SameKind()
    held_out = _held_out(reading)
    number = -1
    if labelled and not reading.validation_speakers and "-" not in sources:
        held_out |= _chosen(sources, reading, content=due, note=note)
    for source in sources:
        for item in _by_channel(_items(source, reading, content=due, note=note), reading):
            number += 1
            if not wanted(number):
                continue
            if isinstance(item, Refusal):
                yield number, item
                continue
            split = held_out.get(item.speaker, "train") if held_out else item.split
            rows = _rows(item, reading, content=due, split=split, kinds=kinds)
            for row in _stored(rows) if labelled else rows:
                problem = None
                if isinstance(row, Row):
                    problem = same_kind.problem(row.fields["audio"])
                    problem = problem or (check(row.fields) if check else None)
                yield number, Refusal(row.file, row.line, problem) if problem else row


def notes_on_kinds(kinds: Counter[str]) -> list[str]:
    """A sentence on the kinds of audio that were read, if any was."""
    found = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(10))
    return [f"source recordings: {found}"] if found else []


def _ignore(sentence: str) -> None:
    """A ``Note`` for a first pass over rows that are read again."""


def _stored(rows: Iterator[Row | Refusal]) -> Iterator[Row | Refusal]:
    """Rows without the field that only predictions need."""
    for row in rows:
        if isinstance(row, Row):
            fields = {name: value for name, value in row.fields.items() if name != "start"}
            row = dataclasses.replace(row, fields=fields)
        yield row


def _held_out(reading: AudioReading) -> dict[str, str]:
    """Speaker -> its split, as given in the options."""
    return dict.fromkeys(reading.validation_speakers, "validation") | dict.fromkeys(
        reading.test_speakers, "test"
    )


def _chosen(
    sources: Sequence[str], reading: AudioReading, *, content: Content | None, note: Note
) -> dict[str, str]:
    """Speaker -> split, if whole speakers are held out and no splits are given.

    If the options name test speakers, validation speakers are selected from the others.
    """
    if not isinstance(reading, LabelledAudioReading) or reading.split_by == "recording":
        return {}
    counts: Counter[str] = Counter()
    for source in sources:
        if source.startswith(PREFIX):
            return {}
        for item in _items(source, reading, content=content, note=_ignore):
            if isinstance(item, Refusal):
                continue
            if item.split or not item.speaker:
                return {}
            counts[item.speaker] += item.speaker not in reading.test_speakers
    chosen = choose_speakers(+counts, test=not reading.test_speakers)
    if chosen:
        groups = [f"{split}: {', '.join(names)}" for split, names in _by_split(chosen).items()]
        note(
            f"held-out speakers, so that scores are for new voices ({'; '.join(groups)});"
            " --split-by recording mixes them"
        )
    return chosen


def _by_split(chosen: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        split: sorted(name for name, own in chosen.items() if own == split)
        for split in ("validation", "test")
    }


def _by_channel(items: Iterable[Item | Refusal], reading: AudioReading) -> Iterator[Item | Refusal]:
    """Each channel as a separate item, if the options ask for it."""
    for item in items:
        if (
            isinstance(item, Refusal)
            or reading.channel != "each"
            or item.channel
            or isinstance(item.audio, MatrixPlace)
        ):
            yield item
            continue
        try:
            channels = (
                inspect_audio(item.audio).channels
                if isinstance(item.audio, Path)
                else item.audio[0].reshape(len(item.audio[0]), -1).shape[1]
            )
        except DataError as error:
            yield _refused(item, error)
            continue
        for number in map(str, range(1, channels + 1)):
            yield dataclasses.replace(
                item,
                channel=number,
                speaker=item.speaker or f"channel {number}",
                name=f"{item.name}-channel-{number}" if channels > 1 else item.name,
                record=dict(item.record) | ({"channel": int(number)} if channels > 1 else {}),
            )


def _items(
    source: str, reading: AudioReading, *, content: Content | None, note: Note
) -> Iterator[Item | Refusal]:
    """The items of a source, read by its kind."""
    if source.startswith(PREFIX):
        return read_tfds(source, reading, content=content, note=note)
    if source != "-" and os.path.isdir(source):
        return read_folder(source, reading, content=content, note=note)
    if source == "-" or file_suffix(source) in TABLE_SUFFIXES:
        split = None if source == "-" else split_named(Path(source).name)
        return read_manifest(source, reading, content=content, split=split, note=note)
    check_file(Path(source))
    if Path(source).suffix.lower() in (".scp", ".ark"):
        return read_features(Path(source), reading, content=content)
    if Path(source).suffix.lower() in SUFFIXES or not _is_text(Path(source)):
        return read_files([Path(source)], reading, root=None, content=content, note=note)
    return read_manifest(
        source, reading, content=content, split=split_named(Path(source).name), note=note
    )


def _is_text(path: Path) -> bool:
    """Whether a file of unknown type holds text: audio has zero bytes early on."""
    with path.open("rb") as file:
        head = file.read(4096)
    return b"\0" not in head and bool(head)


def _rows(
    item: Item,
    reading: AudioReading,
    *,
    content: Content | None,
    split: str | None,
    kinds: Counter[str],
) -> Iterator[Row | Refusal]:
    """The rows of one item: one, or several for a long recording without annotation.

    ``kinds`` counts the kinds of audio.
    """
    fields: dict[str, Any] = {}
    if content == "text":
        fields["text"] = clean_transcript(item.content or "", reading)  # type: ignore[arg-type]
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
        yield _refused(item, error)


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
        return _refused(item, error, between=(start_s, end_s) if is_part else None)
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
    return _refused(item, error, between=(bounds[0][0], bounds[-1][1]))


def _from_memory(values: np.ndarray, own_rate: int, reading: AudioReading, channel: str) -> Clip:
    """Convert samples (n,) or (n, channels) to a clip, as for a file."""
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        raise DataError("has samples that are not numbers (NaN or infinite)")
    clipped = count_clipped(values) / values.size
    mono = one_channel(values, channel)
    samples = np.clip(resampled(mono, own_rate, reading.sample_rate_hz), -1.0, 1.0)
    return Clip(samples, reading.sample_rate_hz, own_rate, values.shape[1], clipped)


def _refused(
    item: Item, error: DataError, *, between: tuple[float, float] | None = None
) -> Refusal:
    """A refusal that names the recording if its file lists many."""
    reason = error.what
    if between:
        reason = f"from {between[0]:.2f} to {between[1]:.2f} s it {reason}"
    if isinstance(item.audio, Path) and str(item.audio) != item.file:
        reason = f"{item.audio.name}: {reason}"
    return Refusal(item.file, item.line, reason)
