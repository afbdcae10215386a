"""Data quality and statistics of tagged texts, from one pass over the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from aitk.core.contract.rows import SPLITS, Row
from aitk.core.contract.task import Finding, Grade
from aitk.core.metrics.class_checks import (
    count_finding,
    find_imbalance,
    find_label_typos,
    find_rare_classes,
    find_unseen_labels,
)
from aitk.nlp.data.formats.tag_schemes import OUTSIDE, is_plain, spans_of
from aitk.nlp.data.options import TagReading, TextReading
from aitk.nlp.data.quality import TextInspector

LONG_SPAN_WORDS = 12
#: Distinct texts of spans stored to check whether each has one label.
_KEPT_TEXTS = 200_000
_EXAMPLES = 10


class TagInspector:
    """Inspects every accepted row once; see ``aitk.core.contract.task.Inspector``."""

    def __init__(self, reading: TagReading):
        del reading  # texts are not cleaned
        self._texts = TextInspector(TextReading(), labelled=False)
        self._tags: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        self._rows: Counter[str] = Counter()
        self._mixed = {"plain": 0, "spans": 0}
        self._types: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        self._labels_of_text: dict[str, set[str]] = defaultdict(set)
        self._empty = self._long = self._words = 0

    def add(self, row: Row, split: str) -> None:
        self._texts.add(row, split)
        fields = row.fields
        tags = fields["tags"]
        self._rows[split] += 1
        self._tags[split].update(tags)
        self._words += len(tags)
        plain = is_plain(tags)
        marked = any(tag != OUTSIDE for tag in tags)
        self._mixed["plain" if plain else "spans"] += marked
        spans, _ = spans_of(tags, "plain" if plain else "iob2")
        self._types[split].update(label for _, _, label in spans)
        self._empty += not marked
        self._long += any(end - start > LONG_SPAN_WORDS for start, end, _ in spans)
        for start, end, label in spans if not plain else ():
            text = fields["text"][fields["starts"][start] : fields["ends"][end - 1]].casefold()
            if text in self._labels_of_text or len(self._labels_of_text) < _KEPT_TEXTS:
                self._labels_of_text[text].add(label)

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        rows = sum(self._rows.values())
        train = self._types["train"]
        plain, spans = self._mixed["plain"], self._mixed["spans"]
        several = {text for text, labels in self._labels_of_text.items() if len(labels) > 1}
        return [
            *self._texts.findings(),
            count_finding(
                "mixed schemes",
                min(plain, spans),
                plain + spans,
                "rows that mix span tags with plain tags",
                error_share=0.0,
            ),
            self._find_untagged(rows),
            count_finding(
                "long spans", self._long, rows, f"rows with a span of over {LONG_SPAN_WORDS} words"
            ),
            # Often right: Washington is a place and a person.
            count_finding(
                "texts of several types",
                len(several),
                len(self._labels_of_text),
                "span texts that occur elsewhere with another label",
                examples=sorted(several)[:_EXAMPLES],
            ),
            find_label_typos(set().union(*self._types.values())),
            find_rare_classes(train, what="training spans"),
            find_unseen_labels(self._types),
            find_imbalance(train, what="training spans", balanced=False),
        ]

    def _find_untagged(self, rows: int) -> Finding:
        """Rows without a span are usual; only if all rows lack one is there nothing to learn."""
        grade: Grade = "error" if self._empty == rows else "ok"
        message = f"{self._empty:,} of {rows:,} rows have no word with a tag"
        return Finding("rows without tags", grade, message, {"rows": self._empty})

    def summary(self) -> dict[str, Any]:
        """Rows, tags, lengths and languages, as JSON values and charts."""
        summary = self._texts.summary()
        known = set(self._tags["train"]) or set().union(*self._tags.values())
        summary["labels"] = stored_order(known)
        summary["label_counts"] = {
            split: dict(sorted(self._tags[split].items())) for split in summary["rows"]
        }
        summary["spans"] = {
            split: dict(self._types[split].most_common()) for split in summary["rows"]
        }
        summary["tagged_words"] = self._words
        return summary


def stored_order(tags: set[str]) -> list[str]:
    """Tags in the order of the model's outputs: O first; each B- followed by its I-."""
    if is_plain(tags):
        return sorted(tags)
    types = sorted({tag[2:] for tag in tags if tag != OUTSIDE})
    return [OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in "BI")]
