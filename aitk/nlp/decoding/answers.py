"""The best answer over the windows of a context. NumPy only.

Devlin et al. 2018, sections 4.2 and 4.3: the score of an answer is the sum of the scores of its
start and its end; the first token scores "no answer".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch, Example
from aitk.nlp.features.passages import QaAssets, first_context_token

#: Candidates compared, per window and in total.
CANDIDATES = 20


@dataclass(frozen=True)
class WindowScores:
    """The scores of one window.

    Attributes:
        scores: (tokens, 2) start and end scores of its context.
        none: score of "no answer" in this window.
        first: index of its first token in the context.
    """

    scores: np.ndarray
    none: float
    first: int


@dataclass(frozen=True)
class Answers:
    """The answers of one question, best first.

    Attributes:
        spans: first and last token of the context.
        scores: of the spans.
        none: score of "no answer": the lowest of all windows, since each of them must agree.
    """

    spans: list[tuple[int, int]]
    scores: list[float]
    none: float

    @property
    def margin(self) -> float:
        """Margin of "no answer" over the best answer."""
        return self.none - self.scores[0] if self.scores else float("inf")

    def probabilities(self, *, no_answer: bool) -> tuple[np.ndarray, float]:
        """Probabilities of each answer, and of no answer, among the candidates.

        Args:
            no_answer: whether "no answer" is a candidate.
        """
        scores = np.array([*self.scores, self.none if no_answer else -np.inf], float)
        if not np.isfinite(scores).any():
            return np.zeros(0), 1.0
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        return shares[:-1], float(shares[-1])


def best_answers(windows: Sequence[WindowScores], *, max_answer: int) -> Answers:
    """The best spans of at most ``max_answer`` tokens; overlapping windows count a span once."""
    found: dict[tuple[int, int], float] = {}
    for window in windows:
        for start, end, score in _best_of(window.scores, max_answer):
            span = (window.first + start, window.first + end)
            found[span] = max(score, found.get(span, -np.inf))
    ordered = sorted(found, key=lambda span: (-found[span], span))[:CANDIDATES]
    none = min((window.none for window in windows), default=0.0)
    return Answers(ordered, [found[span] for span in ordered], none)


def row_answers(
    batch: Batch, outputs: Sequence[Any], assets: QaAssets
) -> Iterator[tuple[Example, Answers]]:
    """Each row of a batch with its answers.

    Args:
        outputs: of each row the scores of its windows; or, as an array, those of the first one.
    """
    for example, windows, found in zip(
        batch.context["examples"], batch.context["windows"], outputs, strict=True
    ):
        place = first_context_token(example.inputs, assets)
        known = [found] if isinstance(found, np.ndarray) else found
        scores = [
            WindowScores(
                each[place : place + end - start].astype(float),
                none=float(each[0].sum()),
                first=start,
            )
            for (start, end), each in zip(windows, known, strict=False)
        ]
        yield example, best_answers(scores, max_answer=assets.max_answer)


def _best_of(scores: np.ndarray, max_answer: int) -> list[tuple[int, int, float]]:
    """The best spans of one window."""
    count = len(scores)
    if not count:
        return []
    width = min(max_answer, count)
    ends = np.full(count + width, -np.inf)
    ends[:count] = scores[:, 1]
    # (count, width): answers by start and number of further tokens
    table = scores[:, :1] + np.lib.stride_tricks.sliding_window_view(ends, width)[:count]
    flat = table.ravel()
    kept = min(CANDIDATES, len(flat))
    places = np.argpartition(-flat, kept - 1)[:kept]
    return [
        (int(at // width), int(at // width + at % width), float(flat[at]))
        for at in places
        if np.isfinite(flat[at])
    ]
