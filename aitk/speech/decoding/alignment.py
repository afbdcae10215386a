"""Where in a recording each word was recognised: times, confidences and an image."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from aitk.speech.data.transcripts import Lexicon
from aitk.speech.decoding.beam_search import Hypothesis
from aitk.speech.decoding.ctc import Span, force_align, word_times
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.features.tokenizers.units import BLANK, WORD

WIDEST_IN, HEIGHT_IN, INCHES_A_SECOND = 14.0, 4.2, 3.0
RANGE_DB = 70.0


def timed_words(
    found: Hypothesis, scores: np.ndarray, assets: CtcAssets, *, lexicon: Lexicon | None = None
) -> list[dict[str, Any]]:
    """The words of a text with their times and confidences.

    Args:
        found: the text and the units that spell it.
        scores: (steps, units) logarithms of probabilities.
        lexicon: how words are made of phones.

    Returns:
        ``word``, ``start``, ``end`` in seconds from the beginning of the recording, ``confidence``
        from 0 to 1: how sure the model is of the least sure unit of the word.
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
    """A text and its words without those recognised with less confidence than ``least``."""
    kept = [word for word in words if word["confidence"] >= least]
    return (text if len(kept) == len(words) else " ".join(word["word"] for word in kept)), kept


def confidence_of(words: Sequence[Mapping[str, Any]], scores: np.ndarray) -> float:
    """How sure a text is: the mean of its words; of an empty one, of the silence at each step."""
    if words:
        return float(np.mean([word["confidence"] for word in words]))
    return float(np.exp(scores[:, BLANK]).mean()) if len(scores) else 1.0


def alignment_png(
    samples: np.ndarray,
    scores: np.ndarray,
    spans: Sequence[Span],
    words: Sequence[Mapping[str, Any]],
    assets: CtcAssets,
) -> bytes:
    """A picture: the spectrogram with the words over it, and below how sure each unit is when.

    Args:
        samples: (n,) at the rate of the assets.
        scores: (steps, units) logarithms of probabilities.
        spans: where the units of the text lie.
        words: as ``timed_words`` gives them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rate = assets.audio.features.sample_rate_hz
    seconds = len(samples) / rate
    figure = Figure(figsize=(min(WIDEST_IN, max(5.0, INCHES_A_SECOND * seconds)), HEIGHT_IN))
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    levels = _decibels(samples, rate)  # (frequencies, columns)
    above.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=levels.max() - RANGE_DB,
        extent=(0, seconds, 0, rate / 2000),
    )
    above.set_ylabel("kHz")
    for word in words:
        for edge in (word["start"], word["end"]):
            above.axvline(edge, color="white", linewidth=0.8, alpha=0.7)
        above.text(
            (word["start"] + word["end"]) / 2,
            1.02,
            word["word"],
            transform=above.get_xaxis_transform(),
            ha="center",
            fontsize=9,
        )
    times_s = (np.arange(len(scores)) + 0.5) * assets.step_s
    chances = np.exp(scores)
    below.plot(times_s, chances[:, BLANK], color="0.75", linewidth=1)
    for number, unit in enumerate(dict.fromkeys(span.unit for span in spans)):
        below.plot(times_s, chances[:, unit], color=f"C{number % 10}", linewidth=1)
    for span in spans:
        middle = (span.start + span.end) / 2 * assets.step_s
        symbol = assets.units.symbols[span.unit].replace(WORD, "") or "␣"
        below.text(middle, 1.04, symbol, ha="center", fontsize=8)
    below.set(xlim=(0, seconds), ylim=(0, 1.2), xlabel="seconds", ylabel="probability")
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


def _phones_of_words(
    found: Hypothesis, assets: CtcAssets, lexicon: Lexicon
) -> list[tuple[str, int]]:
    """Each word of a text, and how many of the phones that were found are its own.

    A word may be spoken in several ways, so that the first way that fits need not be the one.
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


def _decibels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Levels of windows of 25 ms every 5 ms: (frequencies, columns)."""
    from scipy.signal import ShortTimeFFT, get_window

    length = max(16, round(0.025 * rate))
    transform = ShortTimeFFT(get_window("hann", length), hop=max(1, round(0.005 * rate)), fs=rate)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    power = np.abs(transform.stft(padded)) ** 2
    first = max(0, -transform.p_min)
    return 10 * np.log10(
        np.maximum(power[:, first : first + -(-len(padded) // transform.hop)], 1e-10)
    )
