"""Scores of transcripts, overall and by speaker, length and kind of error."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Evaluation
from aitk.core.metrics.statistics import ratio_statistic
from aitk.speech.features.tokenizers.units import WORD, Units
from aitk.speech.metrics.wer import Step, align, rates_by_group, score_transcripts, words

#: Upper bounds of the duration groups, in seconds.
LENGTHS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
ALIGNED = 15  # number of worst utterances shown
MOST_GROUPS = 50


def score_recognition(
    measured: Mapping[str, np.ndarray], units: Units | None, *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """Word and character error rates, with tables that locate the errors.

    Args:
        measured: ``reference`` and ``hypothesis`` texts, ``speaker``, ``seconds`` of the recordings
            and ``took_s``, the seconds taken to transcribe each: (rows,) each.
        units: the model's output units; None if unrestricted.
        resamples: bootstrap resamples of utterances; 0 computes no intervals.
        seed: seed of the bootstrap.

    Raises:
        DataError: there are no words to score.
    """
    references, hypotheses = measured["reference"].tolist(), measured["hypothesis"].tolist()
    metrics, per_row, details = score_transcripts(
        references, hypotheses, resamples=resamples, seed=seed
    )
    tables: dict[str, Any] = {
        "Errors": [{"of": kind} | dict(counts) for kind, counts in details["errors"].items()],
        "Speed": [_speed(measured["seconds"], measured["took_s"])],
        "By length": rates_by_group(
            references, hypotheses, [_length(each) for each in measured["seconds"]]
        ),
    }
    speakers = measured["speaker"].tolist()
    if len(set(speakers)) > 1:
        table = rates_by_group(references, hypotheses, [name or "(unknown)" for name in speakers])
        tables["By speaker, worst first"] = sorted(table, key=lambda row: -row["wer"])[:MOST_GROUPS]
    tables |= details.pop("tables")
    warnings = []
    if units is not None:
        unwritable = [found for text in references if (found := _unknown(text, units))]
        details["unwritable_rows"] = len(unwritable)
        if unwritable:
            problem = "have a text without units in the model: they count as wrong"
            warnings.append(f"{len(unwritable)} rows {problem}")
            every = Counter(itertools.chain.from_iterable(each.elements() for each in unwritable))
            tables["Not seen in training"] = [
                {"unit": unit, "times": times} for unit, times in every.most_common(MOST_GROUPS)
            ]
    worst = [at for at in np.argsort(-per_row, kind="stable") if per_row[at] > 0][:ALIGNED]
    if worst:
        tables["The worst utterances, aligned"] = [
            {
                "wer": round(float(per_row[at]), 4),
                "speaker": speakers[at],
                "seconds": round(float(measured["seconds"][at]), 2),
                "aligned": show_errors(align(words(references[at]), words(hypotheses[at]))),
            }
            for at in worst
        ]
    lengths = np.array([len(words(text)) for text in references], float)
    return Evaluation(
        metrics=metrics,
        per_row=per_row,
        details=details | {"tables": tables},
        statistic=ratio_statistic(per_row * lengths, lengths),
        warnings=warnings,
    )


def show_errors(steps: Sequence[Step]) -> str:
    """Format an alignment as one line: ``call [five>nine] [-two] [+oh]``."""
    shown = []
    for step in steps:
        if step.kind == "equal":
            shown.append(step.reference)
        elif step.kind == "substitution":
            shown.append(f"[{step.reference}>{step.hypothesis}]")
        else:
            shown.append(f"[-{step.reference}]" if step.reference else f"[+{step.hypothesis}]")
    return " ".join(shown)


def _speed(seconds: np.ndarray, took_s: np.ndarray) -> dict[str, Any]:
    """The real-time factor; the median, since the first batches include compilation."""
    factors = took_s / np.maximum(seconds, 1e-6)
    return {
        "seconds of audio": round(float(seconds.sum()), 1),
        "real-time factor (median)": round(float(np.median(factors)), 5),
        "times faster than real time": round(float(1 / max(np.median(factors), 1e-9)), 1),
    }


def _length(seconds: float) -> str:
    for below, end in zip((0.0, *LENGTHS_S), LENGTHS_S, strict=False):
        if seconds < end:
            return f"{below:2g} to {end:g} s"
    return f"{LENGTHS_S[-1]:g} s and more"


def _unknown(text: str, units: Units) -> Counter[str]:
    """Units of a transcript that the model lacks, with the number of words that contain them."""
    known = set(units.symbols)
    found: Counter[str] = Counter()
    for word in text.split():
        try:
            symbols = units.split(word)
        except DataError:
            found[f"{word} (not in the lexicon)"] += 1
            continue
        found.update(symbol.replace(WORD, "") for symbol in set(symbols) - known)
    return found
