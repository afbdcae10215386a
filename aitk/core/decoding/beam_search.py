"""Beam search with a length penalty, over any ``Decoder``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.decoding.incremental import Decoder, room_for

#: Finished rows are dropped once they reach this share of the rows.
DROP_SHARE = 0.25


@dataclass(frozen=True)
class Hypothesis:
    """A decoded sequence.

    Attributes:
        ids: tokens without the end.
        score: log-probability of all its tokens, including the end, divided by the length penalty.
        ended: whether it reached the end token, or was truncated at the limit.
    """

    ids: tuple[int, ...]
    score: float
    ended: bool


def length_penalty(length: int | np.ndarray, alpha: float) -> float | np.ndarray:
    """Wu et al. 2016, "Google's Neural Machine Translation System", equation 14.

    Args:
        length: tokens, including the end.
        alpha: 0 compares log-probabilities directly; larger values favour longer sequences.
    """
    return ((5 + length) / 6) ** alpha


def beam_search(
    decoder: Decoder,
    inputs: Mapping[str, np.ndarray],
    *,
    starts: np.ndarray,
    limits: Sequence[int],
    end_id: int,
    bias: np.ndarray,
    beams: int = 4,
    alpha: float = 0.6,
    best: int = 1,
) -> list[list[Hypothesis]]:
    """The best sequences of each row.

    At each step, all continuations of a row's hypotheses compete by log-probability: among the
    ``2 * beams`` likeliest, those that end become candidates for the result, and up to ``beams``
    others continue. A row is finished when no continuation can beat its ``best`` candidates.

    Args:
        inputs: the source, (rows, ...) each.
        starts: (rows, n) initial tokens of every sequence; not part of the result.
        limits: maximum tokens of each row, including the end.
        bias: (vocabulary,) added to the logits.
        beams: beam size; 1 is greedy search.
        alpha: parameter of ``length_penalty``.

    Returns:
        For each row up to ``best`` hypotheses, best first.
    """
    rows = len(starts)
    state = decoder.start(inputs, rows=rows, length=room_for(starts.shape[1] + max(limits)))
    # The one hypothesis of a greedy search continues itself; of several, one step serves all.
    logits, state = decoder.advance(state, starts, None if beams == 1 else np.arange(rows))
    searches = [_Search(limit, end_id, beams, alpha, best) for limit in limits]
    held = list(range(rows))
    width = 1
    while True:
        count = min(2 * beams, len(bias))
        chances, ids = decoder.best(logits, count, bias)
        chances = chances.reshape(len(held), -1, count)
        ids = ids.reshape(len(held), -1, count)
        for place, row in enumerate(held):
            searches[row].extend(chances[place], ids[place])
        going = [place for place, row in enumerate(held) if not searches[row].finished]
        if not going:
            return [search.results() for search in searches]
        drop = len(held) - len(going) >= DROP_SHARE * len(held)
        kept = going if drop else list(range(len(held)))
        parents = np.concatenate([searches[held[at]].parents + at * width for at in kept])
        held = [held[place] for place in kept]
        tokens = np.concatenate([searches[row].newest for row in held])[:, None]
        if drop or width < beams:
            state, width = decoder.take(state, parents), beams
            parents = np.arange(len(tokens))
        logits, state = decoder.advance(state, tokens, None if beams == 1 else parents)


class _Search:
    """The search of one row.

    Attributes:
        parents: (beams,) the former hypothesis that each one continues.
        newest: (beams,) the last token of each; unused places repeat one.
        finished: whether no further result is possible.
    """

    def __init__(self, limit: int, end_id: int, beams: int, alpha: float, best: int):
        self._limit, self._end_id, self._beams = limit, end_id, beams
        self._alpha, self._best = alpha, best
        self._sums = np.zeros(1)
        self._ids = np.zeros((1, 0), np.int64)
        self._ended: list[Hypothesis] = []
        self.finished = False
        self.parents = np.zeros(beams, np.int64)
        self.newest = np.full(beams, end_id, np.int64)

    def extend(self, chances: np.ndarray, ids: np.ndarray) -> None:
        """Extend the hypotheses by one token.

        Args:
            chances: (places, count) log-probabilities of the likeliest next tokens.
            ids: (places, count) those tokens.
        """
        if self.finished:
            return
        live, count = len(self._sums), chances.shape[1]
        totals = (self._sums[:, None] + chances[:live]).ravel()
        order = np.argsort(-totals, kind="stable")[: 2 * self._beams]
        order = order[np.isfinite(totals[order])]
        parents, tokens = order // count, ids[:live].ravel()[order]
        length = self._ids.shape[1] + 1
        ends = tokens == self._end_id
        for at in np.flatnonzero(ends):
            self._keep(self._ids[parents[at]], totals[order[at]], length, ended=True)
        goes_on = np.flatnonzero(~ends)[: self._beams]
        parents, tokens, self._sums = parents[goes_on], tokens[goes_on], totals[order[goes_on]]
        self._ids = np.concatenate([self._ids[parents], tokens[:, None]], axis=1)
        if length == self._limit:
            for own, total in zip(self._ids, self._sums, strict=True):
                self._keep(own, total, length, ended=False)
        self.finished = length == self._limit or not len(goes_on) or self._is_decided()
        if not self.finished:
            spare = self._beams - len(goes_on)
            self.parents = np.pad(parents, (0, spare), mode="edge")
            self.newest = np.pad(tokens, (0, spare), mode="edge")

    def results(self) -> list[Hypothesis]:
        return self._ended[: self._best]

    def _keep(self, ids: np.ndarray, total: float, length: int, *, ended: bool) -> None:
        score = float(total / length_penalty(length, self._alpha))
        self._ended.append(Hypothesis(tuple(map(int, ids)), score, ended))
        self._ended.sort(key=lambda each: -each.score)
        del self._ended[self._best :]

    def _is_decided(self) -> bool:
        """Whether no hypothesis can still reach the best ended one.

        Log-probabilities only decrease, and the penalty is largest at the limit.
        """
        if len(self._ended) < self._best:
            return False
        reach = self._sums[0] / length_penalty(self._limit, self._alpha)
        return self._ended[-1].score >= reach
