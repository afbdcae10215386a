"""Words that contributed to a prediction: the decrease of its probability when each is removed.

Occlusion (Zeiler and Fergus 2014, section 4.2) by erasing words (Li et al. 2016, "Understanding
Neural Networks through Representation Erasure").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aitk.nlp.features.tokenizers import ALONE

MOST_PIECES = 256  # longer texts are split into groups of neighbouring words
DELETED_SHARE = 0.2  # of the pieces, removed to check the attribution
RANDOM_DRAWS = 10

#: Maps texts to the probability of the explained prediction, (texts,).
Probability = Callable[[Sequence[str]], np.ndarray]
Span = tuple[int, int]


def explain_text(text: str, probability: Probability, *, seed: int = 0) -> dict[str, Any]:
    """Attribute a prediction to the words of a text; unspaced scripts by character.

    Returns:
        ``parts``: the whole text in order, each part with the decrease of the probability when
        it is removed (0 for text between words); ``faithfulness``: the decrease without the
        fifth of the words with the highest weights (``named``), and without as many random
        words (``random``); None for a text of one word.
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
    faithfulness = None
    if len(pieces) > 1:
        faithfulness = deletion_drop(text, pieces, weights, probability, seed=seed)
    return {"parts": parts, "faithfulness": faithfulness}


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


def deletion_drop(
    text: str,
    pieces: Sequence[Span],
    weights: np.ndarray,
    probability: Probability,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Check an attribution by deletion (comprehensiveness, DeYoung et al. 2020, section 4)."""
    count = math.ceil(DELETED_SHARE * len(pieces))
    rng = np.random.default_rng(seed)
    chosen = [np.argsort(-weights, kind="stable")[:count]]
    chosen += [rng.choice(len(pieces), count, replace=False) for _ in range(RANDOM_DRAWS)]
    texts = [_without(text, [pieces[index] for index in indices]) for indices in chosen]
    values = probability([text, *texts])
    return {
        "deleted": count,
        "named": round(float(values[0] - values[1]), 6),
        "random": round(float(values[0] - values[2:].mean()), 6),
    }


def _without(text: str, spans: Sequence[Span]) -> str:
    """The text without some spans."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text
