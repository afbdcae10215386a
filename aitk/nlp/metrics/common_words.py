"""The baseline of embedding: texts are similar if they share words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from aitk.core.metrics.baselines import Measured, Rows
from aitk.nlp.features.word_table import WORD_PATTERN

#: Number of hash buckets of words.
BUCKETS = 2048
_WORD = re.compile(WORD_PATTERN)


def common_words(rows: Rows, measured: Measured) -> Mapping[str, np.ndarray]:
    """The measurements for vectors of word counts.

    Args:
        rows: texts, whose halves are compared; or pairs.
        measured: measurements of a model on them.
    """
    sides = [_sides(row) for row in rows]
    left = np.stack([_counts(one) for one, _ in sides])
    right = np.stack([_counts(two) for _, two in sides])
    if "cosine" in measured:
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosines = (left * right).sum(axis=1) / np.maximum(lengths, 1e-9)
        return {"cosine": cosines, "score": measured["score"]}
    return {"left": left, "right": right}


def _sides(row: Mapping[str, str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words of both texts of a pair, or of the halves of a text."""
    words = _WORD.findall(row["text"].lower())
    if "pair" in row:
        return words, _WORD.findall(row["pair"].lower())
    middle = len(words) // 2
    return words[:middle], words[middle:]


def _counts(words: Sequence[str]) -> np.ndarray:
    found = np.zeros(BUCKETS, np.float32)
    for word in words:
        found[zlib.crc32(word.encode()) % BUCKETS] += 1
    return found
