"""Attribution of an answer to the sentences of its context and the words of its question.

Occlusion (Zeiler and Fergus 2014, section 4.2): the decrease of the answer's probability when
each is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Example, Task
from aitk.core.metrics.faithfulness import part_faithfulness
from aitk.nlp.data.words import split_sentences
from aitk.nlp.decoding.answers import row_answers
from aitk.nlp.explain.occlusion import split_pieces
from aitk.nlp.features.passages import QaAssets, answer_tokens, first_context_token, windows_of

MOST_SENTENCES = 100

#: Maps rows, and the start of the answer in each context, to its probability, (rows,).
Probability = Callable[[Sequence[Mapping[str, Any]], Sequence[int]], np.ndarray]
Predict = Callable[[Sequence[Mapping[str, Any]]], Any]
Span = tuple[int, int]


def evidence_sentence(context: str, start: int, end: int) -> str:
    """The sentences of a context that contain the characters ``start`` to ``end``."""
    inside = [span for span in split_sentences(context) if span[0] < end and start < span[1]]
    return context[inside[0][0] : inside[-1][1]].strip() if inside else context[start:end]


def explain_answer(
    task: Task[QaAssets],
    fields: Mapping[str, Any],
    predict: Predict,
    assets: QaAssets,
    *,
    target: str | None = None,
) -> dict[str, Any]:
    """Attribute an answer to the words of its question and the sentences of its context.

    Of a context longer than the model's input, the part with the best answer is explained.

    Args:
        fields: ``question`` and ``context``.
        predict: rows to the model's outputs.
        target: a part of the context to explain instead of the model's answer.

    Returns:
        ``prediction``, ``explained`` (the answer) and its ``probability``; and what
        ``attribute_answer`` returns.

    Raises:
        UsageError: the target does not occur in the context.
    """
    fields = _best_part(fields, predict, assets, task)
    context = fields["context"]
    (example,) = task.encode([fields], assets)
    batch = task.collate([example], assets)
    (prediction,) = task.decode(batch, predict([fields]), assets)
    start, end = prediction.get("start"), prediction.get("end")
    if target is not None:
        start = context.find(target)
        if start < 0:
            raise UsageError(f"{target!r} does not occur in the context", where="--target")
        end = start + len(target)
    if start is None or end is None:  # no answer: explain the best candidate
        (answers,) = (each for _, each in row_answers(batch, predict([fields]), assets))
        first, last = answers.spans[0]
        offsets = example.inputs["offsets"]
        start, end = int(offsets[first][0]), int(offsets[last][1])
    answer = context[start:end]

    def probability(rows: Sequence[Mapping[str, Any]], starts: Sequence[int]) -> np.ndarray:
        examples = task.encode(rows, assets)
        return np.array(
            [
                _span_probability(each, scores, begin, answer, assets)
                for each, scores, begin in zip(examples, predict(rows), starts, strict=True)
            ]
        )

    return {
        "prediction": prediction["prediction"],
        "explained": answer,
        "probability": round(float(probability([fields], [start])[0]), 6),
    } | attribute_answer(fields, start, end, probability)


def attribute_answer(
    fields: Mapping[str, Any], start: int, end: int, probability: Probability
) -> dict[str, Any]:
    """The evidence of an answer, and the decrease of its probability without each part.

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


def _best_part(
    fields: Mapping[str, Any], predict: Predict, assets: QaAssets, task: Task[QaAssets]
) -> dict[str, Any]:
    """The question with the best answer's window of its context."""
    (example,) = task.encode([fields], assets)
    windows, offsets = windows_of(example.inputs, assets), example.inputs["offsets"]
    kept = {"id": "", "question": fields["question"]}
    if len(windows) == 1:
        return kept | {"context": fields["context"]}
    context = fields["context"]
    rows = [
        kept | {"context": context[int(offsets[start][0]) : int(offsets[end - 1][1])]}
        for start, end in windows
    ]
    batch = task.collate(task.encode(rows, assets), assets)
    found = row_answers(batch, predict(rows), assets)
    scores = [each.scores[0] if each.scores else -np.inf for _, each in found]
    return rows[int(np.argmax(scores))]


def _span_probability(
    example: Example, scores: np.ndarray, start: int, answer: str, assets: QaAssets
) -> float:
    """The probability of an answer in the first window: product of start and end."""
    window = windows_of(example.inputs, assets)[0]
    tokens = answer_tokens(example.inputs["offsets"], start, answer)
    if tokens is None or tokens[1] >= window[1]:
        return 0.0
    place = first_context_token(example.inputs, assets)
    inside = scores[place : place + window[1]].astype(np.float64)
    logs = inside - np.logaddexp.reduce(inside, axis=0)
    return float(np.exp(logs[tokens[0], 0] + logs[tokens[1], 1]))
