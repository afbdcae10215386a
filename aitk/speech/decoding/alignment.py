"""Word times and confidences within a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from aitk.speech.data.transcripts import Lexicon
from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import Span, force_align, word_times
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.features.tokenizers.units import BLANK


def timed_words(
    found: Hypothesis, scores: np.ndarray, assets: CtcAssets, *, lexicon: Lexicon | None = None
) -> list[dict[str, Any]]:
    """The words of a text with times and confidences.

    Args:
        found: the text and its units.
        scores: (steps, units) log-probabilities.
        lexicon: maps words to phones.

    Returns:
        ``word``, ``start``, ``end`` in seconds from the start of the recording, ``confidence`` from
        0 to 1: the lowest confidence among the units of the word.
    """
    spans = force_align(scores, found.units)
    if assets.units.kind != "phone" or lexicon is None:
        return word_times(spans, assets.units, step_s=assets.step_s)
    words, at = [], 0
    for word, count in _phones_of_words(found, assets, lexicon):
        own = spans[at : at + count]
        words.append(_word(word, own, assets.step_s))
        at += count
    return words


WordT = TypeVar("WordT", bound=Mapping[str, Any])


def confident(text: str, words: Sequence[WordT], least: float) -> tuple[str, list[WordT]]:
    """A text and its words without those of lower confidence than ``least``."""
    kept = [word for word in words if word["confidence"] >= least]
    return (text if len(kept) == len(words) else " ".join(word["word"] for word in kept)), kept


def confidence_of(words: Sequence[Mapping[str, Any]], scores: np.ndarray) -> float:
    """Confidence of a text: the mean over its words, or for an empty text, of silence per step."""
    if words:
        return float(np.mean([word["confidence"] for word in words]))
    return float(np.exp(scores[:, BLANK]).mean()) if len(scores) else 1.0


def _phones_of_words(
    found: Hypothesis, assets: CtcAssets, lexicon: Lexicon
) -> list[tuple[str, int]]:
    """Each word of a text, and its number of decoded phones.

    A word may have several pronunciations, and the first that fits need not be the right one.
    """
    phones = [assets.units.symbols[unit] for unit in found.units]
    ways: dict[str, list[list[str]]] = {}
    for spelling, names in lexicon.words.items():
        for name in names:
            ways.setdefault(name, []).append(spelling.split())

    def fit(words: Sequence[str], at: int) -> list[tuple[str, int]] | None:
        if not words:
            return [] if at == len(phones) else None
        for way in ways[words[0]]:
            if phones[at : at + len(way)] == way:
                rest = fit(words[1:], at + len(way))
                if rest is not None:
                    return [(words[0], len(way)), *rest]
        return None

    return fit(found.text.split(), 0) or []


def _word(word: str, spans: Sequence[Span], step_s: float) -> dict[str, Any]:
    return {
        "word": word,
        "start": round(spans[0].start * step_s, 3),
        "end": round(spans[-1].end * step_s, 3),
        "confidence": round(min(span.confidence for span in spans), 4),
    }
