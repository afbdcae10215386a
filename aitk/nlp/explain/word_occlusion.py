"""Words that contributed to a prediction about words: each is replaced in turn.

Occlusion (Zeiler and Fergus 2014, section 4.2). Unlike in ``occlusion``, no word is removed: the
others keep their positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.options import unknown_name
from aitk.core.metrics.faithfulness import part_faithfulness
from aitk.nlp.decoding.tagging import Chain, chain_of, span_probabilities, surest_span
from aitk.nlp.features.tag_assets import TagAssets
from aitk.nlp.features.word_readers import words_in

MOST_GROUPS = 256  # longer texts are split into groups of neighbouring words

#: Maps rows to the probability of the explained prediction, (rows,).
Probability = Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
Predict = Callable[[Sequence[Mapping[str, Any]]], Any]


def explain_span(
    fields: Mapping[str, Any],
    predict: Predict,
    assets: TagAssets,
    *,
    target: str | None = None,
) -> dict[str, Any]:
    """Attribute the most certain span of a row, or that of a label, to the words of the row.

    Args:
        predict: rows to the scores of their words.
        target: the label, of which the most certain span is explained.

    Returns:
        ``prediction``, ``explained`` (the label) and ``probability`` of the span; and what
        ``explain_words`` returns.

    Raises:
        UsageError: there is no such label.
    """
    types = sorted({label.partition("-")[2] or label for label in assets.labels})
    if target is not None and target not in types:
        raise unknown_name(target, types, what="label")
    words = words_in(fields)

    def chains(rows: Sequence[Mapping[str, Any]]) -> list[Chain]:
        return [chain_of(row, assets.legal, len(words)) for row in predict(rows)]

    (chain,) = chains([fields])
    span, tags, score = surest_span(chain, assets.labels, target)

    def probability(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        found = [span_probabilities(each, tags, [span])[0] for each in chains(rows)]
        return np.array(found)

    text = " ".join(words[span[0] : span[1]])
    return {
        "prediction": f"{text} [{span[2]}]",
        "explained": span[2],
        "probability": round(score, 6),
    } | explain_words(fields, probability, blank=_blank(assets))


def explain_words(
    fields: Mapping[str, Any], probability: Probability, *, blank: str, seed: int = 0
) -> dict[str, Any]:
    """Attribute a probability to the words of a row.

    Args:
        fields: a row with ``text``, ``starts`` and ``ends``.
        blank: replacement of a word.

    Returns:
        ``parts`` and ``faithfulness`` as in ``occlusion.explain_text``.
    """
    count = len(fields["starts"])
    size = math.ceil(count / MOST_GROUPS)
    groups = [range(at, min(at + size, count)) for at in range(0, count, size)]
    values = probability([fields, *(blanked(fields, group, blank) for group in groups)])
    weights = values[0] - values[1:]
    text, parts, end = fields["text"], [], 0
    for group, weight in zip(groups, weights, strict=True):
        start, stop = int(fields["starts"][group[0]]), int(fields["ends"][group[-1]])
        if start > end:
            parts.append({"text": text[end:start], "weight": 0.0})
        parts.append({"text": text[start:stop], "weight": round(float(weight), 6)})
        end = stop
    if end < len(text):
        parts.append({"text": text[end:], "weight": 0.0})
    faithfulness = part_faithfulness(
        weights,
        lambda masks: probability(
            [
                blanked(
                    fields, [word for at in np.flatnonzero(~mask) for word in groups[at]], blank
                )
                for mask in masks
            ]
        ),
        seed=seed,
    )
    return {"parts": parts, "faithfulness": faithfulness}


def blanked(fields: Mapping[str, Any], words: Sequence[int], blank: str) -> dict[str, Any]:
    """The row with some words replaced."""
    replaced = set(map(int, words))
    text, end = fields["text"], 0
    pieces: list[str] = []
    starts, ends, length = [], [], 0
    found = words_in(fields)
    for at, (start, stop) in enumerate(zip(fields["starts"], fields["ends"], strict=True)):
        between = text[end : int(start)]
        word = blank if at in replaced else found[at]
        pieces += [between, word]
        starts.append(length + len(between))
        length += len(between) + len(word)
        ends.append(length)
        end = int(stop)
    pieces.append(text[end:])
    return {"text": "".join(pieces), "starts": starts, "ends": ends}


def _blank(assets: TagAssets) -> str:
    """The replacement of a removed word."""
    tokenizer = getattr(assets.reader, "tokenizer", None)
    if tokenizer is None or tokenizer.mask_id is None:
        return "\u25a1"
    return str(tokenizer.engine.id_to_token(tokenizer.mask_id))
