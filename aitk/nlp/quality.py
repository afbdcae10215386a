"""What is wrong with the texts and labels of a data set, and what they look like.

One pass, in memory that does not hold the texts: of each row its place, two lengths and an
8-byte hash are kept.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.rows import SPLITS, Row
from aitk.core.task import Finding, Grade
from aitk.nlp.languages import guess_language, script_of
from aitk.nlp.options import TextReading

#: Held-out rows that training has seen, or whose label it has not, make an error from this share
#: on: below it they move a score by less than its usual interval.
HELD_OUT_SHARE = 0.01
#: Rows whose text stands elsewhere with another label make an error from this share on.
CONFLICT_SHARE = 0.05
FEW_ROWS, IMBALANCE, SECOND_LANGUAGE_SHARE = 5, 10.0, 0.05
#: About 512 subword tokens, the longest that BERT and most of its kin read.
LONG_WORDS = 400
_EXAMPLES, _BARS = 10, 30
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# Scripts without spaces: Thai and Lao, kana, Chinese characters. Each character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_NUMBER = re.compile(r"\s*[+-]?[\d.,]+\s*")
_LABEL_NOISE = re.compile(r"[\s_\-.,;:!?'\"]+")


class TextInspector:
    """Looks at every accepted row once; see ``aitk.core.task.Inspector``."""

    def __init__(self, reading: TextReading, *, labelled: bool = True):
        del reading  # texts arrive cleaned
        self._labelled = labelled
        self._files: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._hashes, self._lines = array("q"), array("Q")
        self._file_numbers, self._label_numbers = array("I"), array("I")
        self._splits = array("B")
        self._characters, self._words = array("I"), array("I")
        self._languages: Counter[str] = Counter()
        self._scripts: Counter[str] = Counter()
        self._wordless = 0

    def add(self, row: Row, split: str) -> None:
        text = row.fields["text"]
        self._hashes.append(hash(" ".join(text.casefold().split())))
        self._splits.append(SPLITS.index(split))
        self._lines.append(row.line)
        self._file_numbers.append(self._files.setdefault(row.file, len(self._files)))
        self._characters.append(len(text))
        self._words.append(len(text.split()) if text.isascii() else len(_WORD.findall(text)))
        script = script_of(text)
        self._scripts[script] += 1
        self._languages[guess_language(text, script)] += 1
        self._wordless += not any(map(str.isalnum, text))
        if self._labelled:
            label = row.fields["label"]
            self._label_numbers.append(self._labels.setdefault(label, len(self._labels)))

    def findings(self) -> list[Finding]:
        """Every check made, those that found no fault too."""
        _, first, same = np.unique(np.array(self._hashes), return_index=True, return_inverse=True)
        groups = first[same]  # rows with the same text have the number of the first of them
        splits = np.array(self._splits)
        found = [
            self._find_duplicates(groups, splits),
            self._find_leakage(groups, splits),
            self._find_wordless(),
            self._find_long_texts(),
            self._find_languages(),
        ]
        if self._labelled:
            counts = self._label_counts()
            found += [
                self._find_conflicts(groups),
                find_single_class(counts["train"]),
                find_label_typos(self._labels),
                find_rare_classes(counts["train"]),
                find_unseen_labels(counts),
                find_imbalance(counts["train"]),
            ]
        return found

    def summary(self) -> dict[str, Any]:
        """Rows, labels, lengths and languages, as JSON values and charts."""
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
            counts = self._label_counts()
            summary["labels"] = sorted(counts["train"])
            summary["label_counts"] = {split: counts[split] for split in summary["rows"]}
        return summary

    def _label_counts(self) -> dict[str, dict[str, int]]:
        """Split -> label -> rows, without zeros, in the order of the labels."""
        kinds = len(self._labels)
        codes = np.array(self._splits, np.int64) * kinds + np.array(self._label_numbers)
        table = np.bincount(codes, minlength=len(SPLITS) * kinds).reshape(len(SPLITS), kinds)
        return {
            split: {
                label: int(counts[at]) for label, at in sorted(self._labels.items()) if counts[at]
            }
            for split, counts in zip(SPLITS, table, strict=True)
        }

    def _find_duplicates(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        _, first = np.unique(groups * len(SPLITS) + splits, return_index=True)
        repeated = np.ones(len(groups), bool)
        repeated[first] = False
        return _judge(
            "duplicates",
            int(repeated.sum()),
            len(groups),
            "rows that repeat a text of their split, but for case and spaces",
            examples=self._places(np.flatnonzero(repeated)),
        )

    def _find_leakage(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        held_out = splits > 0
        earlier = np.isin(groups, groups[splits == 0])
        earlier |= (splits == 2) & np.isin(groups, groups[splits == 1])
        leaked = held_out & earlier
        return _judge(
            "duplicates across splits",
            int(leaked.sum()),
            int(held_out.sum()),
            "held-out rows with a text that another split has, which flatters scores",
            error_share=HELD_OUT_SHARE,
            examples=self._places(np.flatnonzero(leaked)),
        )

    def _find_conflicts(self, groups: np.ndarray) -> Finding:
        pairs = np.unique(np.stack([groups, np.array(self._label_numbers)]), axis=1)
        texts, labels = np.unique(pairs[0], return_counts=True)
        rows = np.flatnonzero(np.isin(groups, texts[labels > 1]))
        rows = rows[np.argsort(groups[rows], kind="stable")]  # side by side
        return _judge(
            "conflicting labels",
            len(rows),
            len(groups),
            "rows whose text stands elsewhere with another label",
            error_share=CONFLICT_SHARE,
            examples=self._places(rows),
        )

    def _find_wordless(self) -> Finding:
        return _judge(
            "texts without words",
            self._wordless,
            len(self._words),
            "texts without a letter or a digit",
        )

    def _find_long_texts(self) -> Finding:
        long = int((np.array(self._words) > LONG_WORDS).sum())
        return _judge(
            "long texts",
            long,
            len(self._words),
            f"texts of over {LONG_WORDS} words, of which most models read only the beginning",
            **_describe(self._words),
        )

    def _find_languages(self) -> Finding:
        known = [item for item in self._languages.most_common() if item[0] != "und"]
        total = sum(count for _, count in known)
        shares = [f"{name} {count / total:.0%}" for name, count in known if count >= total / 100]
        mixed = len(known) > 1 and known[1][1] >= SECOND_LANGUAGE_SHARE * total
        message = f"languages, as far as short texts tell: {', '.join(shares) or 'none known'}"
        details = {"languages": dict(self._languages), "scripts": dict(self._scripts)}
        return Finding("languages", "warning" if mixed else "ok", message, details)

    def _places(self, rows: np.ndarray) -> list[str]:
        """Where the first of these rows stand in the user's files."""
        files = list(self._files)
        return [f"{files[self._file_numbers[row]]}:{self._lines[row]}" for row in rows[:_EXAMPLES]]


def find_single_class(counts: Mapping[str, int]) -> Finding:
    """Check that the training rows (label -> rows) have two labels at least."""
    message = f"{len(counts)} classes in training"
    if len(counts) == 1:
        message = f"every training row has the label {next(iter(counts))!r}: nothing to learn"
    return Finding(
        "classes", "ok" if len(counts) > 1 else "error", message, {"classes": len(counts)}
    )


def find_label_typos(labels: Iterable[str]) -> Finding:
    """Find labels that differ only in case, spaces or punctuation. Numbers are left alone."""
    spellings = defaultdict(list)
    for label in sorted(labels):
        if not _NUMBER.fullmatch(label):
            plain = unicodedata.normalize("NFKC", label).casefold()
            spellings[_LABEL_NOISE.sub("", plain) or label].append(label)
    alike = [group for group in spellings.values() if len(group) > 1]
    told = "; ".join(" / ".join(map(repr, group)) for group in alike[:_EXAMPLES])
    message = f"perhaps the same label: {told}" if alike else "no two labels look alike"
    return Finding("label typos", "warning" if alike else "ok", message, {"alike": alike})


def find_rare_classes(counts: Mapping[str, int]) -> Finding:
    """Find classes with too few training rows to learn from."""
    rare = {label: count for label, count in counts.items() if count < FEW_ROWS}
    message = f"{len(rare)} of {len(counts)} classes have under {FEW_ROWS} training rows"
    return Finding("rare classes", "warning" if rare else "ok", message, {"rows": rare})


def find_unseen_labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    """Find labels of held-out rows (split -> label -> rows) that no training row has."""
    unseen: Counter[str] = Counter()
    held_out = 0
    for split in SPLITS[1:]:
        held_out += sum(counts[split].values())
        unseen.update({k: n for k, n in counts[split].items() if k not in counts["train"]})
    return _judge(
        "unseen labels",
        unseen.total(),
        held_out,
        "held-out rows with a label that no training row has",
        error_share=HELD_OUT_SHARE,
        labels=dict(unseen.most_common()),
    )


def find_imbalance(counts: Mapping[str, int]) -> Finding:
    """Compare the largest with the smallest class."""
    if not counts:
        return Finding("balance", "ok", "no class")
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    ratio = counts[largest] / counts[smallest]
    if ratio == 1:
        return Finding("balance", "ok", f"every class has {counts[largest]:,} training rows")
    message = f"{largest!r} has {ratio:.1f} times the training rows of {smallest!r}"
    message += ": see --balance" if ratio >= IMBALANCE else ""
    details = {"largest": largest, "smallest": smallest, "ratio": round(ratio, 2)}
    return Finding("balance", "warning" if ratio >= IMBALANCE else "ok", message, details)


def _judge(
    check: str, count: int, total: int, what: str, *, error_share: float = 2.0, **details: Any
) -> Finding:
    """A finding about ``count`` of ``total`` rows: an error above the share, if any a warning."""
    share = count / total if total else 0.0
    grade: Grade = "error" if share > error_share else "warning" if count else "ok"
    message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
    return Finding(check, grade, message, {"rows": count, "share": round(share, 6), **details})


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
    """Counts by length; the longest 1% count as being as long as the others' longest."""
    if not len(lengths):
        return {"x": [], "y": []}
    values = np.array(lengths)
    values = np.minimum(values, np.percentile(values, 99, method="higher"))
    counts, edges = np.histogram(values, bins=min(_BARS, int(np.ptp(values)) + 1))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(1).tolist(), "y": counts.tolist()}
