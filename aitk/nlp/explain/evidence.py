"""Attribution of an answer to the sentences of its context and the words of its question.

Occlusion (Zeiler and Fergus 2014, section 4.2): the decrease of the answer's probability when
each is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.faithfulness import part_faithfulness
from aitk.nlp.data.words import split_sentences
from aitk.nlp.explain.occlusion import split_pieces

MOST_SENTENCES = 100

#: Maps rows, and the start of the answer in each context, to its probability, (rows,).
Probability = Callable[[Sequence[Mapping[str, Any]], Sequence[int]], np.ndarray]
Span = tuple[int, int]


def evidence_sentence(context: str, start: int, end: int) -> str:
    """The sentences of a context that contain the characters ``start`` to ``end``."""
    inside = [span for span in split_sentences(context) if span[0] < end and start < span[1]]
    return context[inside[0][0] : inside[-1][1]].strip() if inside else context[start:end]


def explain_answer(
    fields: Mapping[str, Any], start: int, end: int, probability: Probability
) -> dict[str, Any]:
    """Attribute an answer to the words of its question and the sentences of its context.

    Args:
        fields: ``question`` and ``context``.
        start: start of the answer in the context.
        end: end of the answer in the context.

    Returns:
        ``evidence``: the sentence with the answer; ``parts``: the question's words, then the
        context's sentences, each with the decrease of the probability. For the answer's own
        sentence, only the words around the answer are removed. ``faithfulness`` of both together:
        see ``part_faithfulness``.
    """
    question, context = fields["question"], fields["context"]
    words = split_pieces(question)
    sentences = split_sentences(context)[:MOST_SENTENCES]
    count = len(words) + len(sentences)

    def values_of(masks: Sequence[np.ndarray]) -> np.ndarray:
        """(masks,) the probability where only the parts of each mask are kept."""
        rows, starts = [], []
        for mask in masks:
            gone = [words[at] for at in np.flatnonzero(~mask[: len(words)])]
            shorter = question
            for first, last in reversed(gone):
                shorter = shorter[:first] + shorter[last:]
            gone = [sentences[at] for at in np.flatnonzero(~mask[len(words) :])]
            left, begin = _without_sentences(context, gone, start, end)
            rows.append({"question": shorter, "context": left})
            starts.append(begin)
        return probability(rows, starts)

    singles = ~np.eye(count, dtype=bool)
    values = values_of([np.ones(count, bool), *singles])
    weights = values[0] - values[1:]
    parts = _parts(question, words, weights[: len(words)])
    parts.append({"text": " — ", "weight": 0.0})
    parts += _parts(context, sentences, weights[len(words) :])
    return {
        "evidence": evidence_sentence(context, start, end),
        "parts": parts,
        "faithfulness": part_faithfulness(weights, values_of),
    }


def _without_sentences(context: str, gone: Sequence[Span], start: int, end: int) -> tuple[str, int]:
    """A context without some sentences, but for the answer; and where that begins then.

    Args:
        gone: in order.
    """
    begin = start
    for first, last in reversed(gone):
        kept = context[max(first, start) : min(last, end)]  # the answer stays
        context = context[:first] + kept + context[last:]
        if first < start:
            begin -= min(last, start) - first
    return context, begin


def _parts(text: str, spans: Sequence[Span], weights: np.ndarray) -> list[dict[str, Any]]:
    parts, end = [], 0
    for (start, stop), weight in zip(spans, weights, strict=True):
        if start > end:
            parts.append({"text": text[end:start], "weight": 0.0})
        parts.append({"text": text[start:stop], "weight": round(float(weight), 6)})
        end = stop
    if end < len(text):
        parts.append({"text": text[end:], "weight": 0.0})
    return parts
