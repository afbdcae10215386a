"""Label counts and label checks of a data set."""

from __future__ import annotations

import html
import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding, Grade

#: Minimum share of held-out rows seen in training, or with labels unseen in training, for an error:
#: smaller shares move a score by less than its usual interval.
HELD_OUT_SHARE = 0.01
#: Minimum share of rows that occur elsewhere with another label for an error.
CONFLICT_SHARE = 0.05
FEW_ROWS, IMBALANCE = 5, 10.0
#: With more labels per row, the column is probably another one: row numbers, or texts.
_LABELS_PER_ROW, _ROWS_TO_TELL = 0.5, 20
_EXAMPLES = 10
_LABEL_DELIMITERS = (",", ";", "|")
_NUMBER = re.compile(r"\s*[+-]?[\d.,]+\s*")
_LABEL_NOISE = re.compile(r"[\s_\-.,;:!?'\"]+")


class LabelTally:
    """Counts the labels of streamed rows, in a few bytes per row.

    A row has the field ``label``, or the list ``labels``.
    """

    def __init__(self) -> None:
        self._sets: dict[tuple[str, ...], int] = {}
        self._numbers, self._splits = array("I"), array("B")
        self._several = False

    def add(self, fields: Mapping[str, Any], split: str) -> None:
        """Count a row."""
        if "labels" in fields:
            self._several = True
            labels = tuple(sorted(fields["labels"]))
        else:
            labels = (fields["label"],)
        self._numbers.append(self._sets.setdefault(labels, len(self._sets)))
        self._splits.append(SPLITS.index(split))

    def state(self) -> dict[str, Any]:
        """See ``Mergeable``."""
        return {
            "sets": list(self._sets),
            "numbers": self._numbers.tobytes(),
            "splits": self._splits.tobytes(),
            "several": self._several,
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """See ``Mergeable``."""
        merge_numbers(self._numbers, self._sets, state["numbers"], state["sets"])
        self._splits.frombytes(state["splits"])
        self._several |= state["several"]

    @property
    def numbers(self) -> np.ndarray:
        """(rows,) a number for each row's labels, equal for equal labels."""
        return np.array(self._numbers)

    def counts(self) -> dict[str, dict[str, int]]:
        """Split -> label -> rows, without zeros, in label order."""
        kinds = len(self._sets)
        codes = np.array(self._splits, np.int64) * kinds + self.numbers
        table = np.bincount(codes, minlength=len(SPLITS) * kinds).reshape(len(SPLITS), kinds)
        found = {}
        for split, line in zip(SPLITS, table.tolist(), strict=True):
            counts: Counter[str] = Counter()
            for labels, at in self._sets.items():
                if line[at]:
                    counts.update(dict.fromkeys(labels, line[at]))
            found[split] = dict(sorted(counts.items()))
        return found

    def summary(self) -> dict[str, Any]:
        """``labels`` and ``label_counts`` of the nonempty splits; for multi-label rows also the
        number of labels per row."""
        counts = self.counts()
        present = [split for at, split in enumerate(SPLITS) if at in set(self._splits)]
        summary: dict[str, Any] = {
            "labels": known_labels(counts),
            "label_counts": {split: counts[split] for split in present},
        }
        if self._several:
            sizes = self._sizes()
            summary["labels_per_row"] = {
                str(size): int(count) for size, count in enumerate(np.bincount(sizes)) if count
            }
        return summary

    def findings(self) -> list[Finding]:
        """All label checks, including those without a fault."""
        counts = self.counts()
        labels = set().union(*counts.values())
        return [
            find_single_class(counts["train"], at_least=1 if self._several else 2),
            find_label_typos(labels),
            find_labels_per_row(self._sizes(), len(self._sets))
            if self._several
            else find_several_labels(labels),
            find_rare_classes(counts["train"]),
            find_unseen_labels(counts),
            find_imbalance(counts["train"]),
        ]

    def _sizes(self) -> np.ndarray:
        """(rows,) number of labels per row."""
        return np.array([len(labels) for labels in self._sets])[self.numbers]


def merge_numbers(
    numbers: array[int], names: dict[Any, int], more: bytes, more_names: Sequence[Any]
) -> None:
    """Append the numbers of further rows, which another process gave to its own names.

    Args:
        numbers: (rows,) type ``I``, extended in place.
        names: name -> number, in order; further names are added.
        more: (rows,) indices into ``more_names``, of the same type.
    """
    renamed = [names.setdefault(name, len(names)) for name in more_names]
    if more:
        renumbered = np.array(renamed, np.uintc)[np.frombuffer(more, np.uintc)]
        numbers.frombytes(renumbered.tobytes())


def count_finding(
    check: str, count: int, total: int, what: str, *, error_share: float = 2.0, **details: Any
) -> Finding:
    """A finding about ``count`` of ``total`` rows: an error above the share, a warning if any.

    Args:
        what: plural description of the counted rows: "rows that repeat another".
        details: further values for ``dataset.json``.
    """
    if not total:
        return Finding(check, "skipped", f"not checked, too few rows: {what}", details)
    share = count / total
    grade: Grade = "error" if share > error_share else "warning" if count else "ok"
    message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
    return Finding(check, grade, message, {"rows": count, "share": round(share, 6), **details})


def known_labels(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The labels (split -> label -> rows) of the training rows, or of all rows if there are none,
    as in data prepared only for evaluation."""
    return sorted(counts["train"] or set().union(*counts.values()))


def find_single_class(counts: Mapping[str, int], *, at_least: int = 2) -> Finding:
    """Check that the training rows (label -> rows) have enough labels, but not too many."""
    if not counts:
        return Finding("classes", "skipped", "not checked: there are no training rows")
    message, rows = f"{len(counts)} classes in training", sum(counts.values())
    if rows >= _ROWS_TO_TELL and len(counts) > _LABELS_PER_ROW * rows:
        message = f"{len(counts):,} labels for {rows:,} training rows: is this the label's column?"
        return Finding("classes", "error", message, {"classes": len(counts)})
    if len(counts) < at_least:
        message = f"every training row has the label {next(iter(counts))!r}: nothing to learn"
    return Finding(
        "classes",
        "ok" if len(counts) >= at_least else "error",
        message,
        {"classes": len(counts)},
    )


def find_label_typos(labels: Iterable[str]) -> Finding:
    """Find labels that differ only in case, spaces or punctuation, except numbers."""
    spellings = defaultdict(list)
    for label in sorted(labels):
        if not _NUMBER.fullmatch(label):
            plain = unicodedata.normalize("NFKC", html.unescape(label)).casefold()
            spellings[_LABEL_NOISE.sub("", plain) or label].append(label)
    alike = [group for group in spellings.values() if len(group) > 1]
    examples = "; ".join(" / ".join(map(repr, group)) for group in alike[:_EXAMPLES])
    message = f"possibly the same label: {examples}" if alike else "no two labels look alike"
    return Finding("label typos", "warning" if alike else "ok", message, {"alike": alike})


def find_several_labels(labels: Iterable[str]) -> Finding:
    """Find labels that seem to combine several: ``pos,delivery`` next to ``neg,delivery``.

    Comma-separated labels count only if a part recurs in another label.
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
        return Finding(check, "ok", "no label seems to combine several")
    examples = ", ".join(map(repr, sorted(several)[:_EXAMPLES]))
    message = (
        f"{len(several)} labels seem to combine several, and each combination is a class of its"
        f" own: {examples}. For multi-label rows, use --label-separator or"
        " --multi-label"
    )
    return Finding(check, "warning", message, {"labels": sorted(several)})


def _parts(label: str, delimiter: str) -> list[str]:
    """The parts between delimiters, also in a Python list: ``['a', 'b']``."""
    parts = (part.strip(" '\"") for part in label.strip("[]").split(delimiter))
    return [part for part in parts if part]


def find_labels_per_row(counts: Sequence[int] | np.ndarray, combinations: int) -> Finding:
    """Report the number of labels per row, for multi-label data.

    Args:
        counts: (rows,) number of labels of each row.
        combinations: number of distinct label sets.
    """
    sizes = np.asarray(counts)
    none = int((sizes == 0).sum())
    message = f"{sizes.mean():.2f} labels per row in {combinations:,} combinations"
    message += f"; {none:,} rows have none ({none / len(sizes):.1%})" if none else ""
    return Finding("labels per row", "ok", message, {"without": none})


def find_rare_classes(counts: Mapping[str, int], *, what: str = "training rows") -> Finding:
    """Find classes with too few training rows, or other counted things, for training."""
    if not counts:
        return Finding("rare classes", "skipped", f"not checked: no class has {what}")
    rare = {label: count for label, count in counts.items() if count < FEW_ROWS}
    message = f"{len(rare)} of {len(counts)} classes have under {FEW_ROWS} {what}"
    return Finding("rare classes", "warning" if rare else "ok", message, {"rows": rare})


def find_unseen_labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    """Find labels of held-out rows (split -> label -> rows) that are in no training row."""
    unseen: Counter[str] = Counter()
    if not counts["train"]:
        return Finding("unseen labels", "skipped", "not checked: there are no training rows")
    held_out = 0
    for split in SPLITS[1:]:
        held_out += sum(counts[split].values())
        unseen.update({k: n for k, n in counts[split].items() if k not in counts["train"]})
    return count_finding(
        "unseen labels",
        unseen.total(),
        held_out,
        "held-out rows with a label unseen in training",
        error_share=HELD_OUT_SHARE,
        labels=dict(unseen.most_common()),
    )


def find_imbalance(
    counts: Mapping[str, int], *, what: str = "training rows", balanced: bool = True
) -> Finding:
    """Compare the largest with the smallest class, by rows or other counted things.

    ``balanced``: whether training can weight the classes (``--balance``).
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
