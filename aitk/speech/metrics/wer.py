"""Word and character error rates with the alignment behind them (Levenshtein 1966)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Score
from aitk.core.metrics.statistics import bootstrap_scores

Kind = Literal["equal", "substitution", "deletion", "insertion"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an alignment: reference and hypothesis, "" for a missing side."""

    kind: Kind
    reference: str
    hypothesis: str


@dataclass(frozen=True, slots=True)
class Errors:
    """Error counts by kind, and the length of the reference. Additive."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    length: int = 0

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.length + other.length,
        )

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit; for an empty reference, 1 if there are any."""
        return self.total / self.length if self.length else float(self.total > 0)


def words(text: str) -> list[str]:
    """The words of a transcript, split at spaces."""
    return text.split()


def characters(text: str) -> list[str]:
    """The characters of a transcript, with runs of spaces collapsed."""
    return list(" ".join(text.split()))


def count_errors(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Errors:
    """The minimum number of edits between two sequences, by kind."""
    kinds = [kind for kind, _, _ in _trace(reference, hypothesis)]
    return Errors(
        substitutions=kinds.count("substitution"),
        deletions=kinds.count("deletion"),
        insertions=kinds.count("insertion"),
        length=len(reference),
    )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """Align hypothesis words (or characters) with the reference, in order."""
    return [
        Step(
            kind,
            reference[i] if kind != "insertion" else "",
            hypothesis[j] if kind != "deletion" else "",
        )
        for kind, i, j in _trace(reference, hypothesis)
    ]


def score_transcripts(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    resamples: int = 0,
    seed: int = 0,
) -> tuple[dict[str, Score], np.ndarray, dict[str, Any]]:
    """Corpus-level word and character error rates of transcripts.

    Args:
        references: reference transcripts.
        hypotheses: recognised transcripts, in the same order.
        resamples: bootstrap resamples of utterances; 0 computes no intervals.
        seed: seed of the bootstrap.

    Returns:
        ``wer`` and ``cer`` with 95% intervals, and ``sentence_errors`` (the share of utterances
        with an error); the word error rate of each utterance (rows,); and details: counts by kind
        and the most frequent substitutions, deletions and insertions of words.

    Raises:
        DataError: there are no utterances, or no reference has a word.
    """
    by_word = [
        count_errors(words(reference), words(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    by_character = [
        count_errors(characters(reference), characters(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    if not sum(each.length for each in by_word):
        raise DataError("there are no words to score")
    columns = {
        "wer": (
            np.array([each.total for each in by_word], float),
            np.array([each.length for each in by_word], float),
        ),
        "cer": (
            np.array([each.total for each in by_character], float),
            np.array([each.length for each in by_character], float),
        ),
        "sentence_errors": (
            np.array([each.total > 0 for each in by_word], float),
            np.ones(len(by_word)),
        ),
    }
    metrics = {
        name: _rate(errors, lengths, resamples, seed) for name, (errors, lengths) in columns.items()
    }
    per_row = np.array([each.rate for each in by_word], np.float32)
    details = {
        "errors": {
            "words": _counts(sum(by_word, Errors())),
            "characters": _counts(sum(by_character, Errors())),
        },
        "tables": {"Most frequent errors": frequent_errors(references, hypotheses)},
    }
    return metrics, per_row, details


def frequent_errors(
    references: Sequence[str], hypotheses: Sequence[str], *, limit: int = 15
) -> list[dict[str, Any]]:
    """The most frequent word errors: kind, reference, hypothesis, count."""
    found: dict[tuple[str, str, str], int] = {}
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        for step in align(words(reference), words(hypothesis)):
            if step.kind != "equal":
                name = (step.kind, step.reference, step.hypothesis)
                found[name] = found.get(name, 0) + 1
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [
        {"error": kind, "reference": reference, "hypothesis": hypothesis, "times": times}
        for (kind, reference, hypothesis), times in ordered
    ]


def rates_by_group(
    references: Sequence[str], hypotheses: Sequence[str], groups: Sequence[str]
) -> list[dict[str, Any]]:
    """The word error rate of each group (speaker, duration), as a table sorted by name."""
    sums: dict[str, Errors] = {}
    rows: dict[str, int] = {}
    for reference, hypothesis, group in zip(references, hypotheses, groups, strict=True):
        sums[group] = sums.get(group, Errors()) + count_errors(words(reference), words(hypothesis))
        rows[group] = rows.get(group, 0) + 1
    return [
        {"group": name, "rows": rows[name], "wer": sums[name].rate, **_counts(sums[name])}
        for name in sorted(sums)
    ]


def _rate(errors: np.ndarray, lengths: np.ndarray, resamples: int, seed: int) -> Score:
    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ lengths
        rates = np.full(len(counts), np.nan)
        return np.divide(counts @ errors, total, out=rates, where=total > 0)[:, None]

    return bootstrap_scores(statistic, len(errors), resamples=resamples, seed=seed)[0]


def _counts(errors: Errors) -> Mapping[str, int]:
    return {
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
        "length": errors.length,
    }


def _trace(
    reference: Sequence[Hashable], hypothesis: Sequence[Hashable]
) -> Iterator[tuple[Kind, int, int]]:
    """A path with the fewest errors: kind, reference position, hypothesis position.

    Ties are resolved as by RapidFuzz, and so as in jiwer.
    """
    from rapidfuzz.distance import Levenshtein

    opcodes: Iterable[Any] = Levenshtein.opcodes(reference, hypothesis)
    for tag, start, end, other_start, other_end in opcodes:
        for step in range(max(end - start, other_end - other_start)):
            yield _KINDS[tag], start + step, other_start + step


_KINDS: dict[str, Kind] = {
    "equal": "equal",
    "replace": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}
