"""What is wrong with the labels of a data set, by how many rows have each."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding, Grade

#: Held-out rows that training has seen, or whose label it has not, make an error from this share
#: on: below it they move a score by less than its usual interval.
HELD_OUT_SHARE = 0.01
#: Rows that stand elsewhere with another label make an error from this share on.
CONFLICT_SHARE = 0.05
FEW_ROWS, IMBALANCE = 5, 10.0
#: More labels a row than this are those of another column: numbers of rows, or texts.
_LABELS_PER_ROW, _ROWS_TO_TELL = 0.5, 20
_EXAMPLES = 10
_LABEL_DELIMITERS = (",", ";", "|")
_NUMBER = re.compile(r"\s*[+-]?[\d.,]+\s*")
_LABEL_NOISE = re.compile(r"[\s_\-.,;:!?'\"]+")


def judge(
    check: str, count: int, total: int, what: str, *, error_share: float = 2.0, **details: Any
) -> Finding:
    """A finding about ``count`` of ``total`` rows: an error above the share, if any a warning.

    Args:
        what: the rows that count, in the plural: "rows that repeat another".
        details: further values for ``dataset.json``.
    """
    if not total:
        return Finding(check, "skipped", f"not checked, for lack of rows: {what}", details)
    share = count / total
    grade: Grade = "error" if share > error_share else "warning" if count else "ok"
    message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
    return Finding(check, grade, message, {"rows": count, "share": round(share, 6), **details})


def known_labels(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The labels (split -> label -> rows) of the training rows, or of all where there are none:
    rows that are prepared to score a model alone."""
    return sorted(counts["train"] or set().union(*counts.values()))


def find_single_class(counts: Mapping[str, int]) -> Finding:
    """Check that the training rows (label -> rows) have two labels at least."""
    if not counts:
        return Finding("classes", "skipped", "not checked: there are no training rows")
    message, rows = f"{len(counts)} classes in training", sum(counts.values())
    if rows >= _ROWS_TO_TELL and len(counts) > _LABELS_PER_ROW * rows:
        message = f"{len(counts):,} labels for {rows:,} training rows: is this the label's column?"
        return Finding("classes", "error", message, {"classes": len(counts)})
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
            plain = unicodedata.normalize("NFKC", html.unescape(label)).casefold()
            spellings[_LABEL_NOISE.sub("", plain) or label].append(label)
    alike = [group for group in spellings.values() if len(group) > 1]
    told = "; ".join(" / ".join(map(repr, group)) for group in alike[:_EXAMPLES])
    message = f"perhaps the same label: {told}" if alike else "no two labels look alike"
    return Finding("label typos", "warning" if alike else "ok", message, {"alike": alike})


def find_several_labels(labels: Iterable[str]) -> Finding:
    """Find labels that look like several in one: ``pos,delivery`` beside ``neg,delivery``.

    What a comma separates counts only where a part comes again in another label.
    """
    check, several = "several labels in one", set[str]()
    labels = sorted(labels)
    for delimiter in _LABEL_DELIMITERS:
        parts = {label: _parts(label, delimiter) for label in labels}
        seen = Counter(part for found in parts.values() for part in set(found))
        several |= {
            label
            for label, found in parts.items()
            if len(found) > 1 and (delimiter != "," or any(seen[part] > 1 for part in found))
        }
    if not several:
        return Finding(check, "ok", "no label looks like several in one")
    told = ", ".join(map(repr, sorted(several)[:_EXAMPLES]))
    message = (
        f"{len(several)} labels look like several in one, and each combination is a class of its"
        f" own: {told}. A row has one label: keep the most important, or prepare the data once for"
        " each label (yes or no)"
    )
    return Finding(check, "warning", message, {"labels": sorted(several)})


def _parts(label: str, delimiter: str) -> list[str]:
    """What lies between delimiters, also in a list as Python writes it: ``['a', 'b']``."""
    parts = (part.strip(" '\"") for part in label.strip("[]").split(delimiter))
    return [part for part in parts if part]


def find_rare_classes(counts: Mapping[str, int], *, what: str = "training rows") -> Finding:
    """Find classes with too few training rows, or other things that are counted, to learn from."""
    if not counts:
        return Finding("rare classes", "skipped", f"not checked: no class has {what}")
    rare = {label: count for label, count in counts.items() if count < FEW_ROWS}
    message = f"{len(rare)} of {len(counts)} classes have under {FEW_ROWS} {what}"
    return Finding("rare classes", "warning" if rare else "ok", message, {"rows": rare})


def find_unseen_labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    """Find labels of held-out rows (split -> label -> rows) that no training row has."""
    unseen: Counter[str] = Counter()
    if not counts["train"]:
        return Finding("unseen labels", "skipped", "not checked: there are no training rows")
    held_out = 0
    for split in SPLITS[1:]:
        held_out += sum(counts[split].values())
        unseen.update({k: n for k, n in counts[split].items() if k not in counts["train"]})
    return judge(
        "unseen labels",
        unseen.total(),
        held_out,
        "held-out rows with a label that no training row has",
        error_share=HELD_OUT_SHARE,
        labels=dict(unseen.most_common()),
    )


def find_imbalance(
    counts: Mapping[str, int], *, what: str = "training rows", balanced: bool = True
) -> Finding:
    """Compare the largest with the smallest class, by rows or other things that are counted.

    ``balanced``: training can weight the classes (``--balance``).
    """
    if not counts:
        return Finding("balance", "skipped", f"not checked: no class has {what}")
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    ratio = counts[largest] / counts[smallest]
    if ratio == 1:
        return Finding("balance", "ok", f"every class has {counts[largest]:,} {what}")
    message = f"{largest!r} has {ratio:.1f} times the {what} of {smallest!r}"
    message += ": see --balance" if ratio >= IMBALANCE and balanced else ""
    details = {"largest": largest, "smallest": smallest, "ratio": round(ratio, 2)}
    return Finding("balance", "warning" if ratio >= IMBALANCE else "ok", message, details)
