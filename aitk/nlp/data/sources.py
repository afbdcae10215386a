"""Resolves the user's sources to files, with splits and labels from their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Note
from aitk.core.io.files import check_file, walk_files
from aitk.core.io.names import SPLIT_OF_WORD, split_named
from aitk.core.io.tables import SUFFIXES, file_suffix
from aitk.core.io.tfds_source import PREFIX

# aclImdb has a folder of unlabelled texts next to those of the labels.
_NO_LABEL = frozenset(("unsup", "unsupervised", "unlabelled", "unlabeled"))


#: How to read a source.
Kind = Literal["table", "document", "lines", "tfds"]


@dataclass(frozen=True, slots=True)
class Source:
    """One input to read.

    Attributes:
        name: its path, ``-``, or ``tfds:NAME``.
        kind: ``table``; ``document``, one text in a file of its own; ``tfds``; or ``lines``,
            which may prove to be a table.
        split: the split in its name or folder, or None.
        label: the label given by its folder, or None.
    """

    name: str
    kind: Kind
    split: str | None = None
    label: str | None = None


def find_sources(names: Sequence[str], *, labelled: bool, label: bool, note: Note) -> list[Source]:
    """List the inputs in a fixed order, checking that they exist.

    Raises:
        DataError: there is no such file, or a folder contains no readable files.
    """
    sources: list[Source] = []
    for name in names:
        if name.startswith(PREFIX):
            sources.append(Source(name, "tfds"))
        elif name == "-":
            sources.append(Source(name, "lines"))
        elif os.path.isdir(name):
            sources += _of_folder(name, labelled=labelled, label=label, note=note)
        else:
            check_file(Path(name))
            kind: Kind = "table" if file_suffix(name) in SUFFIXES else "lines"
            sources.append(Source(name, kind, split_named(Path(name).name)))
    return sources


def _of_folder(name: str, *, labelled: bool, label: bool, note: Note) -> list[Source]:
    """Tables, if the folder has any; otherwise texts, in one folder per label (aclImdb) or not."""
    root = Path(name)
    tables: list[Source] = []
    texts: list[Source] = []
    ignored = 0
    for path in walk_files(root, note):
        suffix = file_suffix(path.name)
        parts = path.relative_to(root).parts
        of_folders = (SPLIT_OF_WORD.get(part.lower()) for part in (*parts[-2::-1], root.name))
        split = next(filter(None, of_folders), None)
        folders = [part for part in parts[:-1] if part.lower() not in SPLIT_OF_WORD]
        if suffix in SUFFIXES and suffix != ".json":  # .json files are often metadata
            tables.append(Source(str(path), "table", split_named(path.name) or split))
        elif suffix != ".txt" or (labelled and _NO_LABEL.intersection(folders)):
            ignored += 1
        else:
            texts.append(Source(str(path), "document", split, "/".join(folders) or None))
    as_lines = [
        Source(text.name, "lines", split_named(Path(text.name).name) or text.split)
        for text in texts
    ]
    if tables:
        ignored += len(texts)
        found = tables
    elif not label:
        found = as_lines
    elif labelled:
        found = [text for text in texts if text.label]
        ignored += len(texts) - len(found) if found else 0
        found = found or as_lines
    else:
        found = texts
    if not found:
        hint = "Expected .csv, .tsv, .jsonl, .parquet or .txt files"
        raise DataError("contains no files to read", where=name, hint=hint)
    note(f"{name}: {len(found)} files read" + f", {ignored} ignored" * bool(ignored))
    return found
