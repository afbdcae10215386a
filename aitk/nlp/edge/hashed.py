"""Words and word n-grams as the numbers of hash buckets (Joulin et al. 2016). Part of the scripts
of bundles; NumPy only."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

PAD, END, RESERVED = 0, 1, 2
#: Combines the hashes of neighbours.
MIX = 2654435761


def token_ids(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> list[int]:
    """Ids of all words, of all n-grams, and of character n-grams for short texts."""
    text = f"{fields['text']}\n{fields['pair']}" if "pair" in fields else fields["text"]
    longest, buckets = settings["max_length"], settings["buckets"]
    most_words = max(1, (longest - 1) // settings["ngrams"])
    text = text[: most_words * settings["characters_per_word"]]
    text = text.lower() if settings["lowercase"] else text
    words = re.findall(settings["word_pattern"], text)[:most_words]
    hashes = [zlib.crc32(word.encode()) for word in words]
    ids, runs = [], hashes
    for length in range(1, settings["ngrams"] + 1):
        ids += [run % buckets + RESERVED for run in runs]
        following = hashes[length:]
        runs = [(run * MIX + word) % 2**32 for run, word in zip(runs, following)]  # noqa: B905
    if settings["character_ngrams"]:
        letters = [
            zlib.crc32(marked[at : at + length].encode()) % buckets + RESERVED
            for marked in (f"<{word}>" for word in words)
            for length in range(3, settings["character_ngrams"] + 1)
            for at in range(len(marked) - length + 1)
        ]
        if len(ids) + len(letters) < longest:
            ids += letters
    return [*ids[: longest - 1], END]


def encode(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``token_ids`` and ``padding_mask``, (1, length) int32 each."""
    ids = np.array([token_ids(fields, settings)], np.int32)
    return {"token_ids": ids, "padding_mask": np.ones_like(ids)}
