"""Connectionist temporal classification (Graves et al. 2006) outside the network: minimum lengths,
the most likely path, and forced alignment of units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.speech.features.tokenizers.units import BLANK, WORD, Units


@dataclass(frozen=True, slots=True)
class Span:
    """A unit's position: steps from ``start`` to before ``end``, and its confidence there."""

    unit: int
    start: int
    end: int
    confidence: float


def min_steps(units: Sequence[int]) -> int:
    """The minimum number of steps for these units: equal neighbours need a blank in between."""
    repeats = sum(one == other for one, other in itertools.pairwise(units))
    return len(units) + repeats


def ctc_targets(texts: Sequence[Sequence[int]], steps: Sequence[int]) -> np.ndarray:
    """The targets of ``ctc_loss`` for a batch: (batch, 1 + units) int32.

    The first column is the number of real steps, the others are the units, padded with 0.
    """
    targets = np.zeros((len(texts), 1 + max(map(len, texts), default=0)), np.int32)
    for row, (units, count) in enumerate(zip(texts, steps, strict=True)):
        targets[row, 0] = count
        targets[row, 1 : 1 + len(units)] = units
    return targets


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logits (..., units) to log-probabilities, float64."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def collapse(path: Sequence[int]) -> list[int]:
    """Collapse a path with one unit per step: merge equal neighbours, then drop blanks."""
    return [int(unit) for unit, _ in itertools.groupby(path) if unit != BLANK]


def greedy(log_probabilities: np.ndarray) -> list[int]:
    """The units of the most likely path through (steps, units)."""
    return collapse(log_probabilities.argmax(axis=1).tolist())


def force_align(log_probabilities: np.ndarray, units: Sequence[int]) -> list[Span]:
    """Align the units of a known text by its most likely path (Viterbi 1967).

    Args:
        log_probabilities: (steps, units).
        units: units of the text.

    Returns:
        One span per unit, in order. Its confidence is the mean probability over its steps.

    Raises:
        DataError: the steps are too few for the text.
    """
    if not units:
        return []
    if len(log_probabilities) < min_steps(units):
        raise DataError(
            f"{len(units)} units need {min_steps(units)} steps,"
            f" but the recording has {len(log_probabilities)}"
        )
    states, skips = _states(units)
    steps = len(log_probabilities)
    best = np.full(len(states), -np.inf)
    best[:2] = log_probabilities[0, states[:2]]
    came = np.zeros((steps, len(states)), np.int8)  # offset of the preceding state
    for step in range(1, steps):
        choices = np.full((3, len(states)), -np.inf)
        choices[0], choices[1, 1:] = best, best[:-1]
        choices[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        came[step] = choices.argmax(axis=0)
        best = choices.max(axis=0) + log_probabilities[step, states]
    at = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    path = np.empty(steps, np.int64)
    for step in range(steps - 1, -1, -1):
        path[step] = at
        at -= int(came[step, at])
    spans = []
    for place, unit in enumerate(units):
        inside = np.flatnonzero(path == 2 * place + 1)
        sure = float(np.exp(log_probabilities[inside, unit]).mean())
        spans.append(Span(int(unit), int(inside[0]), int(inside[-1]) + 1, sure))
    return spans


def word_times(spans: Sequence[Span], units: Units, *, step_s: float) -> list[dict[str, Any]]:
    """Words with times and confidences, from the spans of their units.

    Args:
        spans: spans of all units of a text, in order.
        units: defines word boundaries. Phones are not merged into words.
        step_s: seconds per step.

    Returns:
        ``word``, ``start``, ``end`` in seconds, ``confidence``: the minimum over its units.
    """
    words: list[list[Span]] = []
    fresh = True
    for span in spans:
        symbol = units.symbols[span.unit]
        if symbol == WORD:
            fresh = True
            continue
        if fresh or symbol.startswith(WORD) or units.kind in ("word", "phone"):
            words.append([])
        words[-1].append(span)
        # A subword that is only the word mark begins the word of the next one.
        fresh = False
    return [
        {
            "word": "".join(units.symbols[span.unit] for span in each).replace(WORD, ""),
            "start": round(each[0].start * step_s, 3),
            "end": round(each[-1].end * step_s, 3),
            "confidence": round(min(span.confidence for span in each), 4),
        }
        for each in words
    ]


def _states(units: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Alternating blanks and units, (2 n + 1,), and the states reachable by skipping a blank."""
    states = np.full(2 * len(units) + 1, BLANK)
    states[1::2] = units
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    return states, skips
