"""Words that contributed to a prediction: the decrease of its probability when each is removed.

Occlusion (Zeiler and Fergus 2014, section 4.2) by erasing words (Li et al. 2016, "Understanding
Neural Networks through Representation Erasure").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.faithfulness import part_faithfulness
from aitk.nlp.features.tokenizers.learning import ALONE

MOST_PIECES = 256  # longer texts are split into groups of neighbouring words
MOST_REMOVED = 32  # words that are removed to change the prediction

#: Maps texts to the probability of the explained prediction, (texts,).
Probability = Callable[[Sequence[str]], np.ndarray]
#: Maps texts to what is predicted for them.
Predicted = Callable[[Sequence[str]], Sequence[str]]
Span = tuple[int, int]


def explain_text(
    text: str,
    probability: Probability,
    *,
    predicted: Predicted | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Attribute a prediction to the words of a text; unspaced scripts by character.

    Args:
        predicted: what is predicted for texts, for the counterfactual.

    Returns:
        ``parts``: the whole text in order, each part with the decrease of the probability when
        it is removed (0 for text between words); ``faithfulness``: see ``part_faithfulness``; and,
        with ``predicted``, ``counterfactual``: the fewest of the words with the highest weights
        whose removal changes the prediction, and the new one; None if there are none.
    """
    pieces = split_pieces(text)
    values = probability([text, *(_without(text, [piece]) for piece in pieces)])
    weights = values[0] - values[1:]
    parts, end = [], 0
    for (start, stop), weight in zip(pieces, weights, strict=True):
        if start > end:
            parts.append({"text": text[end:start], "weight": 0.0})
        parts.append({"text": text[start:stop], "weight": round(float(weight), 6)})
        end = stop
    if end < len(text):
        parts.append({"text": text[end:], "weight": 0.0})
    faithfulness = part_faithfulness(
        weights,
        lambda masks: probability(
            [_without(text, [pieces[at] for at in np.flatnonzero(~mask)]) for mask in masks]
        ),
        seed=seed,
    )
    found = {"parts": parts, "faithfulness": faithfulness}
    if predicted is not None and pieces:
        found["counterfactual"] = counterfactual(text, pieces, weights, predicted)
    return found


def counterfactual(
    text: str, pieces: Sequence[Span], weights: np.ndarray, predicted: Predicted
) -> dict[str, Any] | None:
    """The fewest of the weightiest words without which something else is predicted.

    Words go in the order of their weights, as for image segments in SEDC (Vermeire et al. 2022);
    one alone that suffices is found first.

    Returns:
        ``without``: the words in the order of the text; ``prediction``: what is predicted then.
    """
    order = np.argsort(-weights, kind="stable")[:MOST_REMOVED]
    removed = [order[: count + 1] for count in range(len(order))]
    if len(removed) == len(pieces):
        removed.pop()  # of an empty text nothing is learned
    texts = [text, *(_without(text, [pieces[at] for at in each]) for each in removed)]
    first, *others = predicted(texts)
    for each, other in zip(removed, others, strict=True):
        if other != first:
            words = [text[slice(*pieces[at])] for at in sorted(each)]
            return {"without": words, "prediction": other}
    return None


def split_pieces(text: str) -> list[Span]:
    """Positions of the words of a text: (start, end) in characters, in order."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    words = Split(Regex(rf"{ALONE}|[\p{{L}}\p{{N}}\p{{M}}_'’-]+"), "isolated")
    spans = [
        span
        for piece, span in words.pre_tokenize_str(text)
        if any(letter.isalnum() or not letter.isascii() for letter in piece)
    ]
    group = math.ceil(len(spans) / MOST_PIECES) or 1
    groups = [spans[at : at + group] for at in range(0, len(spans), group)]
    return [(inside[0][0], inside[-1][1]) for inside in groups]


def _without(text: str, spans: Sequence[Span]) -> str:
    """The text without some spans."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text
