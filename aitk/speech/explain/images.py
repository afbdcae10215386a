"""Charts that explain a prediction: regions and words on a spectrogram, and attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.reporting.image_charts import LINES, Axis, Panel, drawing, shades
from aitk.speech.decoding.ctc import Span
from aitk.speech.decoding.ctc_assets import CtcAssets
from aitk.speech.decoding.seq2seq import STEP_S
from aitk.speech.features.spectrogram_images import RANGE_DB, mel_levels, palette
from aitk.speech.features.tokenizers.units import BLANK, WORD

MAX_WIDTH, MIN_WIDTH, WIDTH_PER_SECOND = 1000, 560, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 30, 40
SPECTROGRAM_HEIGHT, CURVES_HEIGHT, TOKEN_HEIGHT, LABEL_WIDTH = 220, 120, 16, 120
TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
#: Colours of evidence for and against the prediction.
FOR, AGAINST = "#1a59d9", "#f2800d"
#: Maximum opacity, so that the recording below stays visible.
MAX_OPACITY = 0.8
OUTLINED_SHARE = 0.5  # minimum weight of outlined regions, relative to the largest
MAX_TOKENS = 120


def occlusion_chart(
    samples: np.ndarray, sample_rate_hz: int, regions: Sequence[Mapping[str, float]]
) -> str:
    """SVG: the log-mel spectrogram in grey, with regions coloured by weight.

    Args:
        samples: (n,).
        regions: from ``explain_audio``: ``start_s``, ``end_s``, ``low_hz``, ``high_hz``, and
            ``weight``, the drop in log-odds of the prediction without the region.
    """
    # Avoid black: colours would not show on it.
    panel = _spectrogram(samples, sample_rate_hz, colours=[(255, 255, 255), (64, 64, 64)])
    largest = max((abs(region["weight"]) for region in regions), default=0.0)
    for region in regions:
        share = abs(region["weight"]) / largest if largest else 0.0
        panel.rectangle(
            (region["start_s"], region["end_s"]),
            (_mel(region["low_hz"]), _mel(region["high_hz"])),
            colour=FOR if region["weight"] > 0 else AGAINST,
            opacity=MAX_OPACITY * share,
            framed=share >= OUTLINED_SHARE,
            title=f"log-odds fall by {region['weight']:.3g} without this region",
        )
    panel.text(panel.x.high / 2, panel.y.high * 1.03, "blue: for the prediction; orange: against")
    return _drawn([panel], label="regions of a spectrogram by their weight")


def alignment_chart(
    samples: np.ndarray,
    scores: np.ndarray,
    spans: Sequence[Span],
    words: Sequence[Mapping[str, Any]],
    assets: CtcAssets,
) -> str:
    """SVG: the spectrogram with its words, and the probability of each unit below.

    Args:
        samples: (n,) at the rate of the assets.
        scores: (steps, units) log-probabilities.
        spans: positions of the units of the text.
        words: from ``timed_words``.
    """
    colours = [tuple(colour) for colour in palette().tolist()]
    above = _spectrogram(samples, assets.audio.features.sample_rate_hz, colours=colours)
    for word in words:
        for edge in (word["start"], word["end"]):
            above.line([edge, edge], [above.y.low, above.y.high], colour="#fff")
        above.text((word["start"] + word["end"]) / 2, above.y.high * 1.03, word["word"])
    top = above.top + above.height + BOTTOM + TOP
    y = Axis(0.0, 1.0, "probability")
    below = Panel(above.x, y, above.left, top, above.width, CURVES_HEIGHT)
    times_s = (np.arange(len(scores)) + 0.5) * assets.step_s
    probabilities = np.exp(scores)
    below.line(times_s.tolist(), probabilities[:, BLANK].tolist(), colour="#bbb")
    for number, unit in enumerate(dict.fromkeys(span.unit for span in spans)):
        below.line(
            times_s.tolist(), probabilities[:, unit].tolist(), colour=LINES[number % len(LINES)]
        )
    for span in spans:
        symbol = assets.units.symbols[span.unit].replace(WORD, "") or "␣"
        below.text((span.start + span.end) / 2 * assets.step_s, 1.05, symbol)
    return _drawn([above, below], label="words over a spectrogram")


def attention_chart(attention: np.ndarray, labels: Sequence[str]) -> str:
    """SVG: one line per token over the time of the audio.

    Args:
        attention: (tokens, steps) while decoding each token.
        labels: token labels; only the first 120 are drawn.
    """
    attention, labels = attention[:MAX_TOKENS], labels[:MAX_TOKENS]
    # Normalise each line by its maximum; otherwise tokens with diffuse attention would be dark.
    shares = attention / np.maximum(attention.max(axis=1, keepdims=True), 1e-9)
    y = Axis(len(labels), 0, ticks=[(at + 0.5, label) for at, label in enumerate(labels)])
    panel = Panel(
        Axis(0.0, attention.shape[1] * STEP_S, "seconds"),
        y,
        LABEL_WIDTH,
        TOP,
        MAX_WIDTH - LABEL_WIDTH - RIGHT,
        TOKEN_HEIGHT * len(labels),
        shades(shares, [tuple(colour) for colour in palette().tolist()]),
    )
    return _drawn([panel], label="attention of each token to the audio")


def _spectrogram(
    samples: np.ndarray, sample_rate_hz: int, *, colours: Sequence[tuple[int, int, int]]
) -> Panel:
    seconds = len(samples) / sample_rate_hz
    width = min(MAX_WIDTH, max(MIN_WIDTH, WIDTH_PER_SECOND * seconds)) - LEFT - RIGHT
    levels = mel_levels(samples, sample_rate_hz).T[::-1]  # (filters, frames)
    shares = np.clip((levels - levels.max()) / RANGE_DB + 1, 0, 1)
    ticks = [(_mel(hertz), f"{hertz:,}") for hertz in TICKS_HZ if hertz <= sample_rate_hz / 2]
    return Panel(
        Axis(0.0, seconds, "seconds"),
        Axis(0.0, _mel(sample_rate_hz / 2), "Hz", ticks),
        LEFT,
        TOP,
        width,
        SPECTROGRAM_HEIGHT,
        shades(shares, colours),
    )


def _drawn(panels: Sequence[Panel], *, label: str) -> str:
    last = panels[-1]
    width, height = last.left + last.width + RIGHT, last.top + last.height + BOTTOM
    return str(drawing(panels, width=width, height=height, label=label))


def _mel(hertz: float) -> float:
    return float(1127 * np.log1p(hertz / 700))
