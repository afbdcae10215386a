"""Reads rows of audio from the user's files: which recordings, and which speakers are held out.

A row is ``{"audio", "text" or "label", "speaker", "seconds", "id"}``, where ``audio`` is a mono
16-bit FLAC file, or a matrix of precomputed features.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, once
from aitk.core.io.files import check_file
from aitk.core.io.names import split_named
from aitk.core.io.tables import SUFFIXES as TABLE_SUFFIXES
from aitk.core.io.tables import file_suffix
from aitk.core.io.tfds_source import PREFIX
from aitk.core.privacy.redaction import redactor_of, with_counts
from aitk.speech.data.audio import (
    SUFFIXES,
    inspect_audio,
)
from aitk.speech.data.feature_rows import SameKind
from aitk.speech.data.formats.kaldi_files import MatrixPlace
from aitk.speech.data.formats.kaldi_folders import read_features
from aitk.speech.data.formats.manifests import read_manifest
from aitk.speech.data.formats.tfds_audio import read_tfds
from aitk.speech.data.item_rows import refusal_of, rows_of
from aitk.speech.data.items import Content, Item
from aitk.speech.data.layouts import read_files, read_folder
from aitk.speech.data.options import AudioReading, LabelledAudioReading
from aitk.speech.data.speakers import choose_speakers


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
    redactor = redactor_of(reading)
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
            rows = rows_of(item, reading, content=due, split=split, kinds=kinds, redactor=redactor)
            for row in with_counts(_stored(rows) if labelled else rows, redactor):
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
            yield refusal_of(item, error)
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
