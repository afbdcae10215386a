"""Decodes tag scores to the best legal sequence and its spans. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.nlp.data.formats.tag_schemes import OUTSIDE, WordSpan, is_plain, spans_of


@dataclass(frozen=True)
class Chain:
    """The scores of one sentence, minus infinity where illegal.

    Attributes:
        first: (tags,) of the first tag.
        last: (tags,) of the last tag.
        transitions: (tags, tags) from, to.
        emissions: (length, tags) of the words.
    """

    first: np.ndarray
    last: np.ndarray
    transitions: np.ndarray
    emissions: np.ndarray


def legal_moves(labels: Sequence[str]) -> np.ndarray:
    """Legal first tags, last tags and transitions: (2 + tags, tags) of 0 and 1.

    In IOB2 I-X follows B-X or I-X alone; for plain tags everything is legal.
    """
    tags = len(labels)
    legal = np.ones((2 + tags, tags), np.float32)
    if is_plain(labels):
        return legal
    for at, tag in enumerate(labels):
        if tag.startswith("I-"):
            legal[0, at] = 0
            for before, other in enumerate(labels):
                legal[2 + before, at] = other != OUTSIDE and other[2:] == tag[2:]
    return legal


def chain_of(outputs: np.ndarray, legal: np.ndarray, words: int) -> Chain:
    """The scores of one sentence of ``words`` words.

    Args:
        outputs: (2 + tags + length, tags), see ``models.crf``. Words beyond ``length`` were not
            read: their tags have equal scores.
    """
    tags = outputs.shape[-1]
    table = np.where(legal > 0, outputs[: 2 + tags].astype(np.float64), -np.inf)
    emissions = np.zeros((words, tags))
    read = outputs[2 + tags : 2 + tags + words]
    emissions[: len(read)] = read
    return Chain(table[0], table[1], table[2:], emissions)


def best_tags(chain: Chain) -> np.ndarray:
    """The legal sequence with the highest score (Viterbi 1967): (length,) tag numbers."""
    length, tags = chain.emissions.shape
    came_from = np.zeros((length, tags), np.int64)
    score = chain.first + chain.emissions[0]
    for at in range(1, length):
        moved = score[:, None] + chain.transitions  # from, to
        came_from[at] = moved.argmax(axis=0)
        score = moved[came_from[at], np.arange(tags)] + chain.emissions[at]
    best = np.zeros(length, np.int64)
    best[-1] = int((score + chain.last).argmax())
    for at in range(length - 1, 0, -1):
        best[at - 1] = came_from[at, best[at]]
    return best


def sums(chain: Chain) -> tuple[np.ndarray, np.ndarray, float]:
    """Forward and backward log sums (length, tags), and the log sum of all sequences."""
    length, _ = chain.emissions.shape
    alphas, betas = np.zeros_like(chain.emissions), np.zeros_like(chain.emissions)
    alphas[0], betas[-1] = chain.first + chain.emissions[0], chain.last
    for at in range(1, length):
        alphas[at] = _logsumexp(alphas[at - 1][:, None] + chain.transitions, 0)
        alphas[at] += chain.emissions[at]
    for at in range(length - 2, -1, -1):
        following = chain.emissions[at + 1] + betas[at + 1]
        betas[at] = _logsumexp(chain.transitions + following[None, :], 1)
    total = float(_logsumexp((alphas[-1] + chain.last)[:, None], 0)[0])
    return alphas, betas, total


def marginals(chain: Chain) -> np.ndarray:
    """The probability of each tag at each word, (length, tags)."""
    alphas, betas, total = sums(chain)
    return np.exp(alphas + betas - total)


def span_probabilities(chain: Chain, tags: np.ndarray, spans: Sequence[WordSpan]) -> list[float]:
    """The probability that each span's words have these tags, marginalised over other words."""
    if not spans:
        return []
    alphas, betas, total = sums(chain)
    found = []
    for start, end, _ in spans:
        value = alphas[start, tags[start]] + betas[end - 1, tags[end - 1]] - total
        for at in range(start + 1, end):
            value += chain.transitions[tags[at - 1], tags[at]] + chain.emissions[at, tags[at]]
        found.append(float(np.exp(min(0.0, value))))
    return found


def spans_in(tags: Sequence[int] | np.ndarray, labels: Sequence[str]) -> list[WordSpan]:
    """The spans of a tag sequence; for plain tags one span per word, without O."""
    names = [labels[tag] for tag in tags]
    spans, _ = spans_of(names, "plain" if is_plain(labels) else "iob2")
    return [span for span in spans if span[2] != OUTSIDE]


def surest_span(
    chain: Chain, labels: Sequence[str], target: str | None
) -> tuple[WordSpan, np.ndarray, float]:
    """The span with the highest probability, its tags and its probability; without spans, the
    most likely word."""
    tags = best_tags(chain)
    spans = [each for each in spans_in(tags, labels) if target in (None, each[2])]
    if spans:
        scores = span_probabilities(chain, tags, spans)
        best = int(np.argmax(scores))
        return spans[best], tags, scores[best]
    likely = marginals(chain)
    for at, label in enumerate(labels):
        name = label if is_plain(labels) else label[2:]
        if label == OUTSIDE or label.startswith("I-") or target not in (None, name):
            likely[:, at] = -1.0
    word, tag = map(int, np.unravel_index(int(likely.argmax()), likely.shape))
    tags = tags.copy()
    tags[word] = tag
    label = labels[tag] if is_plain(labels) else labels[tag][2:]
    return (word, word + 1, label), tags, float(likely[word, tag])


def describe_spans(
    text: str, starts: Any, ends: Any, spans: Sequence[WordSpan], scores: Sequence[float]
) -> list[dict[str, Any]]:
    """Spans in the form that ``predict`` writes: ``start`` and ``end`` in characters."""
    return [
        {
            "start": int(starts[first]),
            "end": int(ends[last - 1]),
            "text": text[int(starts[first]) : int(ends[last - 1])],
            "label": label,
            "score": round(score, 6),
        }
        for (first, last, label), score in zip(spans, scores, strict=True)
    ]


def _logsumexp(values: np.ndarray, axis: int) -> np.ndarray:
    highest = values.max(axis=axis, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(values - highest).sum(axis=axis, keepdims=True))
    return np.squeeze(total + highest, axis=axis)
