"""Data quality and statistics of the texts and labels of a data set.

One pass, in memory that does not hold the texts: for each row its place, two lengths and an
8-byte hash.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from aitk.core.contract.labels import MISSING
from aitk.core.contract.rows import SPLITS, Row
from aitk.core.contract.score_task import ScoreStatistics
from aitk.core.contract.task import Finding
from aitk.core.metrics.class_checks import (
    CONFLICT_SHARE,
    HELD_OUT_SHARE,
    LabelTally,
    count_finding,
    merge_numbers,
)
from aitk.nlp.data.languages import guess_languages, script_of
from aitk.nlp.data.options import ScoreReading, TextReading

#: UTF-8 decoded as Latin-1 or cp1252, and replacement characters.
_GARBLED = re.compile("[ÂÃ][\u0080-\u00bf]|â€|\ufffd")
SECOND_LANGUAGE_SHARE = 0.05
#: About 512 subword tokens, the limit of BERT and most similar models.
LONG_WORDS = 400
#: The check of texts of more words.
LONG_TEXTS = "long texts"
_EXAMPLES, _BARS = 10, 30
_LONGEST_MISSING = max(map(len, MISSING))
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 4096, 1 << 21
#: Statistics of ``TextInspector`` to be joined, and to be added up.
_ARRAYS = ("_hashes", "_lines", "_splits", "_characters", "_words")
_COUNTERS = ("_languages", "_scripts")
_COUNTS = ("_wordless", "_missing", "_garbled", "_pairs")
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# Scripts without spaces: Thai and Lao, kana, Chinese characters. Each character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


class TextInspector:
    """Inspects every accepted row once; see ``aitk.core.contract.capabilities.Mergeable``."""

    def __init__(self, reading: TextReading, *, labelled: bool = True):
        self._scores = ScoreStatistics() if isinstance(reading, ScoreReading) else None
        self._labelled = labelled and self._scores is None
        self._files: dict[str, int] = {}
        self._labels = LabelTally()
        self._hashes, self._lines = array("q"), array("Q")
        self._file_numbers = array("I")
        self._splits = array("B")
        self._characters, self._words = array("I"), array("I")
        self._languages: Counter[str] = Counter()
        self._scripts: Counter[str] = Counter()
        self._wordless = self._missing = self._garbled = self._pairs = 0
        self._texts: list[str] = []  # not inspected yet
        self._waiting = 0  # their characters

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        text = fields["text"]
        if "pair" in fields:
            self._pairs += 1
            text = f"{text}\n{fields['pair']}"
        self._texts.append(text)
        self._splits.append(SPLITS.index(split))
        self._lines.append(row.line)
        self._file_numbers.append(self._files.setdefault(row.file, len(self._files)))
        if self._scores is not None:
            self._scores.add(fields["score"], split)
        if self._labelled:
            self._labels.add(fields, split)
        self._waiting += len(text)
        if len(self._texts) == _TEXTS_AT_ONCE or self._waiting > _CHARACTERS_AT_ONCE:
            self._inspect_texts()

    def _inspect_texts(self) -> None:
        """Inspect the texts that wait: many at once take half the time of each by itself."""
        texts, self._texts, self._waiting = self._texts, [], 0
        lengths = list(map(len, texts))
        self._characters.extend(lengths)
        scripts = list(map(script_of, texts))
        self._scripts.update(scripts)
        self._languages.update(guess_languages(texts, scripts))
        names = []
        for text in texts:
            if text.isascii() and text.isprintable() and "  " not in text:
                # Single spaces are its only white space, so that its words need not be listed.
                folded = text.lower().strip(" ")
                count = folded.count(" ") + bool(folded)
            else:
                words = text.casefold().split()
                folded = " ".join(words)
                count = len(words) if text.isascii() else count_words(text)
                self._garbled += not text.isascii() and bool(_GARBLED.search(text))
            # ``hash`` of a text differs between processes.
            names.append(blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest())
            self._words.append(count)
            self._wordless += not (text[:1].isalnum() or any(map(str.isalnum, text)))
            self._missing += len(text) <= _LONGEST_MISSING and text in MISSING
        self._hashes.frombytes(b"".join(names))

    def state(self) -> dict[str, Any]:
        """See ``Mergeable``."""
        self._inspect_texts()
        return {
            "arrays": {name: getattr(self, name).tobytes() for name in _ARRAYS},
            "counters": {name: dict(getattr(self, name)) for name in _COUNTERS},
            "counts": {name: getattr(self, name) for name in _COUNTS},
            "files": list(self._files),
            "file_numbers": self._file_numbers.tobytes(),
            "labels": self._labels.state(),
            "scores": self._scores.state() if self._scores is not None else None,
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """See ``Mergeable``."""
        self._inspect_texts()
        for name in _ARRAYS:
            getattr(self, name).frombytes(state["arrays"][name])
        for name in _COUNTERS:
            getattr(self, name).update(state["counters"][name])
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + state["counts"][name])
        merge_numbers(self._file_numbers, self._files, state["file_numbers"], state["files"])
        self._labels.merge(state["labels"])
        if self._scores is not None:
            self._scores.merge(state["scores"])

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        self._inspect_texts()
        _, first, same = np.unique(np.array(self._hashes), return_index=True, return_inverse=True)
        groups = first[same]  # rows with the same text share the index of the first one
        splits = np.array(self._splits)
        found = [
            self._find_duplicates(groups, splits),
            self._find_leakage(groups, splits),
            self._find_wordless(),
            self._find_missing(),
            self._find_garbled(),
            self._find_long_texts(),
            self._find_languages(),
        ]
        if self._labelled:
            found += [self._find_conflicts(groups), *self._labels.findings()]
        return found

    def summary(self) -> dict[str, Any]:
        """Rows, labels, lengths and languages, as JSON values and charts."""
        self._inspect_texts()
        rows = np.bincount(self._splits, minlength=len(SPLITS))
        summary: dict[str, Any] = {
            "rows": {split: int(count) for split, count in zip(SPLITS, rows, strict=True) if count},
            "lengths": {
                "characters": _describe(self._characters),
                "words": _describe(self._words),
            },
            "languages": dict(self._languages.most_common()),
            "scripts": dict(self._scripts.most_common()),
            "charts": {
                "characters_in_a_text": _histogram(self._characters),
                "words_in_a_text": _histogram(self._words),
            },
        }
        if self._labelled:
            summary |= self._labels.summary()
        if self._pairs:
            summary["pairs"] = self._pairs
        if self._scores is not None:
            summary |= self._scores.summary()
        return summary

    def _find_duplicates(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        _, first = np.unique(groups * len(SPLITS) + splits, return_index=True)
        repeated = np.ones(len(groups), bool)
        repeated[first] = False
        return count_finding(
            "duplicates",
            int(repeated.sum()),
            len(groups),
            "rows that repeat a text of their split, ignoring case and spaces",
            examples=self._places(np.flatnonzero(repeated)),
        )

    def _find_leakage(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        held_out = splits > 0
        earlier = np.isin(groups, groups[splits == 0])
        earlier |= (splits == 2) & np.isin(groups, groups[splits == 1])
        leaked = held_out & earlier
        return count_finding(
            "duplicates across splits",
            int(leaked.sum()),
            int(held_out.sum()),
            "held-out rows whose text occurs in another split, which inflates scores",
            error_share=HELD_OUT_SHARE,
            examples=self._places(np.flatnonzero(leaked)),
        )

    def _find_conflicts(self, groups: np.ndarray) -> Finding:
        pairs = np.unique(np.stack([groups, self._labels.numbers]), axis=1)
        texts, labels = np.unique(pairs[0], return_counts=True)
        rows = np.flatnonzero(np.isin(groups, texts[labels > 1]))
        rows = rows[np.argsort(groups[rows], kind="stable")]  # grouped
        return count_finding(
            "conflicting labels",
            len(rows),
            len(groups),
            "rows whose text occurs elsewhere with another label",
            error_share=CONFLICT_SHARE,
            examples=self._places(rows),
        )

    def _find_wordless(self) -> Finding:
        return count_finding(
            "texts without words",
            self._wordless,
            len(self._words),
            "texts without a letter or a digit",
        )

    def _find_missing(self) -> Finding:
        return count_finding(
            "missing texts",
            self._missing,
            len(self._words),
            "texts that denote a missing value, such as nan or NULL",
        )

    def _find_garbled(self) -> Finding:
        return count_finding(
            "garbled characters",
            self._garbled,
            len(self._words),
            "texts with characters that were decoded wrongly, such as Ã© for é (see --encoding)",
        )

    def _find_long_texts(self) -> Finding:
        long = int((np.array(self._words) > LONG_WORDS).sum())
        return count_finding(
            LONG_TEXTS,
            long,
            len(self._words),
            f"texts of over {LONG_WORDS} words, of which most models read only the start",
            **_describe(self._words),
        )

    def _find_languages(self) -> Finding:
        known = [item for item in self._languages.most_common() if item[0] != "und"]
        total = sum(count for _, count in known)
        shares = [f"{name} {count / total:.0%}" for name, count in known if count >= total / 100]
        mixed = len(known) > 1 and known[1][1] >= SECOND_LANGUAGE_SHARE * total
        message = f"languages (uncertain for short texts): {', '.join(shares) or 'none known'}"
        details = {"languages": dict(self._languages), "scripts": dict(self._scripts)}
        return Finding("languages", "warning" if mixed else "ok", message, details)

    def _places(self, rows: np.ndarray) -> list[str]:
        """Places of the first of these rows in the user's files."""
        files = list(self._files)
        return [f"{files[self._file_numbers[row]]}:{self._lines[row]}" for row in rows[:_EXAMPLES]]


def count_words(text: str) -> int:
    """Words between spaces; in scripts without spaces every character is a word."""
    return len(text.split()) if text.isascii() else len(_WORD.findall(text))


def _describe(lengths: Sequence[int]) -> dict[str, float]:
    if not len(lengths):
        return {}
    values = np.array(lengths)
    cuts = np.percentile(values, _PERCENTILES, method="lower")
    return {
        "mean": round(float(values.mean()), 1),
        **{f"p{share}": int(cut) for share, cut in zip(_PERCENTILES, cuts, strict=True)},
        "longest": int(values.max()),
    }


def _histogram(lengths: Sequence[int]) -> dict[str, list[float]]:
    """Counts by length; the longest 1% share the last bin."""
    if not len(lengths):
        return {"x": [], "y": []}
    values = np.array(lengths)
    values = np.minimum(values, np.percentile(values, 99, method="higher"))
    counts, edges = np.histogram(values, bins=min(_BARS, int(np.ptp(values)) + 1))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(1).tolist(), "y": counts.tolist()}
