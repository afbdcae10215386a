"""Folders of recordings: a folder per label, LibriSpeech, Common Voice, Kaldi, or plain files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.files import walk_files
from aitk.core.io.lines import open_lines
from aitk.core.io.names import SPLIT_OF_WORD, shorten, split_named
from aitk.core.io.tables import SUFFIXES as TABLE_SUFFIXES
from aitk.core.io.tables import file_suffix
from aitk.speech.data.audio import SUFFIXES
from aitk.speech.data.formats.kaldi_folders import pairs, read_kaldi_folder
from aitk.speech.data.formats.manifests import names_audio, read_manifest
from aitk.speech.data.items import CLIPS, Item
from aitk.speech.data.options import AudioReading

#: Suffixes of files that accompany recordings.
COMPANIONS = (".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".html", ".pdf", ".py")
TRANSCRIPTS = ".trans.txt"  # LibriSpeech: lines "ID TEXT" for the recordings in its folder
#: Google's Speech Commands lists the files of two splits.
LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
#: Only Common Voice tables that split the validated clips; the others overlap them.
_OVERLAPPING = frozenset(
    ("validated", "invalidated", "other", "reported", "clip_durations", "unvalidated_sentences",
     "validated_sentences")
)  # fmt: skip


def read_folder(
    name: str, reading: AudioReading, *, content: str | None, note: Note
) -> Iterator[Item | Refusal]:
    """The recordings of a folder, in the layout detected from its files.

    Args:
        content: ``text`` or ``label``, required for every recording; None if nothing is required.


    Raises:
        DataError: it has nothing to read, or lacks what is required.
    """
    root = Path(name)
    if any((root / file).is_file() for file in ("wav.scp", "feats.scp")):
        yield from read_kaldi_folder(root, reading, content=content, note=note)
        return
    files = list(walk_files(root, note))
    transcripts = [path for path in files if path.name.endswith(TRANSCRIPTS)]
    if transcripts and content != "label":
        note(f"{name}: LibriSpeech layout, {len(transcripts)} chapters")
        for path in transcripts:
            yield from read_chapter(path, root)
        return
    tables = _manifests(files, root, reading)
    if tables:
        note(f"{name}: {len(tables)} manifests")
        for table in tables:
            split = split_named(table.name) or _split_of_folders(table, root, exact=True)
            yield from read_manifest(str(table), reading, content=content, split=split, note=note)
        return
    clips = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not clips:
        hint = f"Expected {', '.join(SUFFIXES[:5])} files, a manifest, wav.scp or feats.scp"
        raise DataError("no audio in the folder", where=name, hint=hint)
    if others := [path for path in files if path.suffix.lower() not in (*SUFFIXES, *COMPANIONS)]:
        kinds = Counter(path.suffix.lower() or path.name for path in others).most_common(10)
        listed = ", ".join(f"{kind} ({count})" for kind, count in kinds)
        note(f"{name}: {len(others)} files of other kinds skipped: {listed}")
    yield from read_files(clips, reading, root=root, content=content, note=note)


def read_files(
    clips: Iterable[Path],
    reading: AudioReading,
    *,
    root: Path | None,
    content: str | None,
    note: Note,
) -> Iterator[Item | Refusal]:
    """Audio files annotated by their names.

    A label is the folder's name or matches ``file_names``; a text is in a ``.txt`` file of the same
    name.

    Args:
        root: the folder that contains them; None for files given one by one.
    """
    pattern = name_pattern(reading.file_names) if reading.file_names else None
    listed = _listed_splits(root) if root else {}
    ignored = 0
    for path in clips:
        found: dict[str, str] = {}
        if pattern:
            match = pattern.fullmatch(path.stem)
            if match is None and content is not None:
                yield Refusal(str(path), 1, f"its name does not match {reading.file_names}")
                continue
            found = match.groupdict() if match else {}
        folders = path.relative_to(root).parts[:-1] if root else ()
        folders = tuple(part for part in folders if part.lower() not in SPLIT_OF_WORD)
        if any(part.startswith("_") for part in folders):  # noises of Speech Commands
            ignored += 1
            continue
        value = None
        if content == "label":
            value = found.get("label") or "/".join(folders)
            if not value:
                yield Refusal(str(path), 1, "neither its folder nor its name gives a label")
                continue
        elif content == "text":
            transcript = path.with_suffix(".txt")
            if not os.path.isfile(transcript):
                yield Refusal(str(path), 1, f"there is no transcript {transcript.name} next to it")
                continue
            value = " ".join(
                line.text for line in open_lines(str(transcript), encoding=reading.encoding)
            )
        relative = path.relative_to(root).as_posix() if root else path.name
        split = listed.get(relative)
        if split is None and root:
            split = "train" if listed else _split_of_folders(path, root, exact=True)
        yield Item(
            audio=path,
            file=str(path),
            line=1,
            split=split,
            content=value,
            speaker=found.get("speaker", ""),
            name=Path(relative).with_suffix("").as_posix(),
            record={"file": str(path)},
        )
    if ignored:
        note(f"{root}: {ignored} recordings ignored in folders whose names start with _")


def read_chapter(transcripts: Path, root: Path) -> Iterator[Item | Refusal]:
    """Read one LibriSpeech chapter: SPLIT/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac."""
    folder = transcripts.parent
    split = _split_of_folders(transcripts, root)
    speaker = transcripts.name.partition("-")[0]
    for number, text, problem in open_lines(str(transcripts)):
        name, _, transcript = text.strip().partition(" ")
        if not name and not problem:
            continue
        clip = next(
            (
                folder / (name + suffix)
                for suffix in SUFFIXES
                if os.path.isfile(folder / (name + suffix))
            ),
            None,
        )
        if problem or clip is None or not clip.resolve().is_relative_to(folder.resolve()):
            reason = problem or f"there is no recording {shorten(name)} next to it"
            yield Refusal(str(transcripts), number, reason)
        elif not transcript.strip():
            yield Refusal(str(transcripts), number, "its text is empty")
        else:
            yield Item(
                audio=clip,
                file=str(transcripts),
                line=number,
                split=split,
                content=transcript.strip(),
                speaker=speaker,
                name=name,
                record={"file": str(clip)},
            )


def name_pattern(names: str) -> re.Pattern[str]:
    """Convert ``{label}_{speaker}_{}`` to a regular expression for a file name without suffix.

    Raises:
        UsageError: a brace holds another word.
    """
    parts = re.split(r"\{([^{}]*)\}", names)
    for word in parts[1::2]:
        if word not in ("", "label", "speaker"):
            raise unknown_name(word, ("label", "speaker"), what="part of --file-names")
    if len(set(parts[1::2]) - {""}) < len([word for word in parts[1::2] if word]):
        raise UsageError("names a part twice", where="--file-names")
    return re.compile(
        "".join(
            (f"(?P<{part}>.+?)" if part else ".+?") if at % 2 else re.escape(part)
            for at, part in enumerate(parts)
        )
    )


def _manifests(files: list[Path], root: Path, reading: AudioReading) -> list[Path]:
    """The tables of a folder that list recordings."""
    tables = [
        path
        for path in files
        if file_suffix(path.name) in TABLE_SUFFIXES and path.suffix.lower() != ".json"
    ]
    if (root / CLIPS).is_dir():
        whole = [path for path in tables if path.stem not in _OVERLAPPING]
        tables = whole or [path for path in tables if path.stem == "validated"]
    found = []
    for path in tables:
        try:
            if names_audio(str(path), reading):
                found.append(path)
        except DataError:  # unrelated or damaged tables are not needed
            continue
    return found


def _listed_splits(root: Path) -> dict[str, str]:
    """File below the root -> the split of the list that names it."""
    return {name: split for file, split in LISTS.items() for name in pairs(root / file)}


def _split_of_folders(path: Path, root: Path, *, exact: bool = False) -> str | None:
    """The split named by a folder above a file. LibriSpeech's ``dev-clean`` names it by part of
    the folder name; for folders of labels, the match must be ``exact``."""
    parts = (*reversed(path.relative_to(root).parts[:-1]), root.resolve().name)
    named = (SPLIT_OF_WORD.get(part.lower()) if exact else split_named(part) for part in parts)
    return next(filter(None, named), None)
