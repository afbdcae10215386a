"""The baseline of taggers: spans of the training rows, found wherever they occur.

The baseline of CoNLL-2003 (Tjong Kim Sang and De Meulder 2003, section 4), with the most frequent
label for texts that have several.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.nlp.data.formats.tag_schemes import OUTSIDE, WordSpan, is_plain, spans_of, tags_of
from aitk.nlp.features.word_readers import words_in

LONGEST = 10  # words


def dictionary_baseline(train: Rows, labels: Sequence[str]) -> Baseline:
    """Collect the spans of the training rows; for plain tags, the tag of each word."""
    plain = is_plain(labels)
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    for row in train:
        words = _folded(row)
        for start, end, label in spans_of(list(row["tags"]), "plain" if plain else "iob2")[0]:
            overall[label] += 1
            if end - start <= LONGEST:
                counts[tuple(words[start:end])][label] += 1
    known = {words: found.most_common(1)[0][0] for words, found in counts.items()}
    usual = overall.most_common(1)[0][0] if plain and overall else None
    name = "most frequent tag of each word" if plain else "spans of the training rows"

    def measure(rows: Rows, measured: Measured) -> Measured:
        found = np.empty(len(rows), object)
        correct = np.zeros(len(rows), int)
        for at, row in enumerate(rows):
            words = _folded(row)
            spans = _find(words, known, usual)
            found[at] = [span for span in spans if span[2] != OUTSIDE]
            tags = [label for _, _, label in spans] if plain else tags_of(spans, len(words))
            correct[at] = sum(map(str.__eq__, tags, row["tags"]))
        return {**measured, "found": found, "correct": correct}

    return Baseline(name, measure)


def _find(
    words: Sequence[str], known: Mapping[tuple[str, ...], str], usual: str | None
) -> list[WordSpan]:
    """The longest known span at each position, from the left."""
    spans: list[WordSpan] = []
    at = 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            label = known.get(tuple(words[at : at + length]))
            if label is not None:
                spans.append((at, at + length, label))
                at += length
                break
        else:
            if usual is not None:
                spans.append((at, at + 1, usual))
            at += 1
    return spans


def _folded(row: Mapping[str, Any]) -> list[str]:
    return [word.casefold() for word in words_in(row)]
