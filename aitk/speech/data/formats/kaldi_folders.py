"""Kaldi data folders: ``wav.scp`` or ``feats.scp``, with ``text``, ``utt2spk`` and ``segments``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.lines import open_lines
from aitk.core.io.names import shorten, split_named
from aitk.core.io.values import quoted, to_number
from aitk.speech.data.formats.kaldi_files import MatrixPlace, index_ark, place_of
from aitk.speech.data.items import Item, locate
from aitk.speech.data.options import AudioReading


def read_kaldi_folder(
    root: Path, reading: AudioReading, *, content: str | None, note: Note
) -> Iterator[Item | Refusal]:
    """The utterances of a data folder: of its audio if any, unless ``precomputed`` is set."""
    features = root / "feats.scp"
    has_audio = (root / "wav.scp").is_file()
    if features.is_file() and (reading.precomputed or not has_audio):
        note(f"{root}: a Kaldi data folder with features")
        yield from read_features(features, reading, content=content)
        return
    note(f"{root}: a Kaldi data folder")
    if features.is_file():
        note(f"{root}: using audio, not the features of feats.scp (see --precomputed)")
    yield from read_recordings(root, reading, content=content)


def read_features(
    listed: Path, reading: AudioReading, *, content: str | None
) -> Iterator[Item | Refusal]:
    """The utterances of ``feats.scp``, another ``.scp`` list, or an ``.ark`` archive.

    ``text``, ``utt2spk`` and ``segments`` come from the same folder. The list usually names
    utterances, as written by Kaldi's feature scripts; if it names recordings, ``segments`` defines
    their utterances.
    """
    root = listed.parent
    split = split_named(root.resolve().name)
    texts = pairs(root / "text") if content else {}
    speakers = pairs(root / "utt2spk")

    def item(
        file: Path,
        line: int,
        name: str,
        entry: str | MatrixPlace,
        cut: tuple[float, float | None],
    ) -> Item | Refusal:
        transcript = texts.get(name, "")
        try:
            if content and not transcript:
                raise DataError(f"the file text has no entry for {shorten(name)}")
            place = (
                place_of(entry, root, outside=reading.outside) if isinstance(entry, str) else entry
            )
        except DataError as error:
            return Refusal(str(file), line, error.what)
        return Item(
            audio=place,
            file=str(file),
            line=line,
            split=split,
            content=transcript if content else None,
            speaker=speakers.get(name, ""),
            start_s=cut[0],
            end_s=cut[1],
            name=name,
            record={"id": name, "file": str(place.archive)},
        )

    entries = _listed(listed)
    segments = root / "segments"
    utterances = pairs(segments)
    first = next(entries, None)
    if first is None:
        raise DataError("names no features", where=str(listed))
    entries = itertools.chain([first], entries)
    if not utterances or first[1] in utterances:
        for line, name, entry in entries:
            yield item(listed, line, name, entry, (0.0, None))
        return
    recordings = {name: entry for _, name, entry in entries}
    for line, name, rest in _entries(segments):
        try:
            recording, start_s, end_s = _segment(rest)
            if recording not in recordings:
                raise DataError(f"{listed.name} has no recording {shorten(recording)}")
        except DataError as error:
            yield Refusal(str(segments), line, error.what)
            continue
        yield item(segments, line, name, recordings[recording], (start_s, end_s))


def read_recordings(
    root: Path, reading: AudioReading, *, content: str | None
) -> Iterator[Item | Refusal]:
    """The utterances of a Kaldi data folder: ``wav.scp``, ``segments``, ``text``, ``utt2spk``.

    Entries of ``wav.scp`` that are commands (ending with a bar) are refused: nothing in a data
    folder is executed.
    """
    split = split_named(root.resolve().name)
    recordings = pairs(root / "wav.scp")
    texts = pairs(root / "text") if content else {}
    speakers = pairs(root / "utt2spk")
    segments = root / "segments"
    listed = segments if segments.is_file() else root / "wav.scp"
    for number, name, rest in _entries(listed):
        start_s, end_s, recording = 0.0, None, name
        try:
            if listed is segments:
                recording, start_s, end_s = _segment(rest)
            if recording not in recordings:
                raise DataError(f"wav.scp has no recording {shorten(recording)}")
            transcript = texts.get(name, "")
            if content and not transcript:
                raise DataError(f"the file text has no entry for {shorten(name)}")
            path = _recording(recordings[recording], root, reading)
        except DataError as error:
            yield Refusal(str(listed), number, error.what)
            continue
        yield Item(
            audio=path,
            file=str(listed),
            line=number,
            split=split,
            content=transcript if content else None,
            speaker=speakers.get(name, ""),
            start_s=start_s,
            end_s=end_s,
            name=name,
            record={"id": name, "file": str(path)},
        )


def _listed(path: Path) -> Iterator[tuple[int, str, str | MatrixPlace]]:
    """The number, key and place of each matrix of a list or archive."""
    if path.suffix.lower() != ".ark":
        yield from _entries(path)
        return
    for number, (key, place) in enumerate(index_ark(path), 1):
        yield number, key, place


def pairs(path: Path) -> dict[str, str]:
    """The first word of each line -> the rest; empty if the file is missing."""
    return {name: rest for _, name, rest in _entries(path)} if path.is_file() else {}


def _entries(path: Path) -> Iterator[tuple[int, str, str]]:
    """The number, first word and rest of each line that is not blank."""
    for number, text, problem in open_lines(str(path)):
        if problem:
            raise DataError(problem, where=f"{path}:{number}")
        if words := text.split(maxsplit=1):
            yield number, words[0], words[1].strip() if len(words) > 1 else ""


def _segment(text: str) -> tuple[str, float, float | None]:
    parts = text.split()
    try:
        recording, start_s, end_s = parts[0], to_number(parts[1]), to_number(parts[2])
    except (IndexError, ValueError) as error:
        raise DataError(f"cannot read the segment {quoted(text)}") from error
    return recording, start_s, None if end_s < 0 else end_s  # -1: to the end


def _recording(name: str, root: Path, reading: AudioReading) -> Path:
    if name.endswith("|"):
        raise DataError("its recording is a command, which is not executed: give a file name")
    if not os.path.isfile(root / name) and reading.outside and os.path.isfile(name):
        return Path(name)  # relative to Kaldi's scripts
    return locate(name, root, reading)
