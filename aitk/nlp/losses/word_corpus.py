"""The training words of word vectors, as ids on disk: memory does not depend on the text's size."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.training.batches import take_rows
from aitk.nlp.features.word_units import WordUnits

ROWS_AT_ONCE = 1024
#: Words held in memory at a time.
CHUNK_WORDS = 1 << 20


@dataclass(frozen=True)
class WordCorpus:
    """Ids of the known words of all texts, concatenated; each text is followed by -1.

    Attributes:
        path: file of int32.
        size: numbers in it.
        words: number of words.
    """

    path: Path
    size: int
    words: int

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Parts of at most ``CHUNK_WORDS`` numbers: ids (n,) int64, and the index of the text of
        each (n,) int64."""
        text = 0
        with self.path.open("rb") as file:
            while len(ids := np.fromfile(file, np.int32, CHUNK_WORDS)):
                ends = ids < 0
                texts = text + np.cumsum(ends)
                text = int(texts[-1])
                yield ids[~ends].astype(np.int64), texts[~ends]


@contextlib.contextmanager
def write_corpus(
    rows: Sequence[Mapping[str, Any]], units: WordUnits, *, reporter: Reporter
) -> Iterator[WordCorpus]:
    """Encode the texts of rows (``text``, and ``pair`` if present) into a file that is deleted on
    exit."""
    with tempfile.TemporaryDirectory(prefix="aitk-words-") as folder:
        path = Path(folder) / "ids"
        size = words = 0
        with path.open("wb") as file:
            starts = range(0, len(rows), ROWS_AT_ONCE)
            for start in reporter.track(starts, "encoding", total=len(starts)):
                ids: list[int] = []
                last = min(start + ROWS_AT_ONCE, len(rows))
                for text in texts_of(take_rows(rows, range(start, last))):
                    known = [
                        number
                        for word in units.split(text)
                        if (number := units.ids.get(word)) is not None
                    ]
                    words += len(known)
                    ids += [*known, -1]
                size += len(ids)
                np.array(ids, np.int32).tofile(file)
        yield WordCorpus(path, size, words)


def texts_of(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every text of rows, including those of pairs and triplets."""
    for row in rows:
        for side in ("text", "pair", "negative"):
            if side in row:
                yield row[side]


def all_texts(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every text of any number of rows, read in blocks."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield from texts_of(take_rows(rows, range(start, min(start + ROWS_AT_ONCE, len(rows)))))
