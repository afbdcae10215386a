"""Attribution of an answer to the sentences of its context and the words of its question.

Occlusion (Zeiler and Fergus 2014, section 4.2): the decrease of the answer's probability when
each is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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
        sentence, only the words around the answer are removed.
    """
    question, context = fields["question"], fields["context"]
    words = split_pieces(question)
    sentences = split_sentences(context)[:MOST_SENTENCES]
    rows: list[dict[str, Any]] = [{"question": question, "context": context}]
    starts = [start]
    for first, last in words:
        rows.append({"question": question[:first] + question[last:], "context": context})
        starts.append(start)
    for first, last in sentences:
        kept = context[max(first, start) : min(last, end)]  # the answer itself remains
        rows.append({"question": question, "context": context[:first] + kept + context[last:]})
        if last <= start:
            starts.append(start - (last - first))
        else:
            starts.append(min(first, start))
    values = probability(rows, starts)
    weights = values[0] - values[1:]
    parts = _parts(question, words, weights[: len(words)])
    parts.append({"text": " — ", "weight": 0.0})
    parts += _parts(context, sentences, weights[len(words) :])
    return {"evidence": evidence_sentence(context, start, end), "parts": parts}


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
