"""Charts that explain a prediction: regions and words over a spectrogram, and attention."""

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
#: The colours of the page's words: for the answer, and against it.
FOR, AGAINST = "#1a59d9", "#f2800d"
#: The heaviest region still lets the recording below it be seen.
MAX_OPACITY = 0.8
OUTLINED_SHARE = 0.5  # regions of at least this share of the largest weight have a frame
MAX_TOKENS = 120


def occlusion_chart(
    samples: np.ndarray, sample_rate_hz: int, regions: Sequence[Mapping[str, float]]
) -> str:
    """SVG: the log-mel spectrogram in grey, each region in colour by its weight.

    Args:
        samples: (n,).
        regions: as ``explain_audio`` gives them: ``start_s``, ``end_s``, ``low_hz``, ``high_hz``,
            and ``weight``, by how much the log-odds of the answer fall without the region.
    """
    # No black: colours would not show on it.
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
    panel.text(panel.x.high / 2, panel.y.high * 1.03, "blue: for the answer; orange: against it")
    return _drawn([panel], label="regions of a spectrogram by their weight")


def alignment_chart(
    samples: np.ndarray,
    scores: np.ndarray,
    spans: Sequence[Span],
    words: Sequence[Mapping[str, Any]],
    assets: CtcAssets,
) -> str:
    """SVG: the spectrogram with the words over it, and below the probability of each unit.

    Args:
        samples: (n,) at the rate of the assets.
        scores: (steps, units) logarithms of probabilities.
        spans: where the units of the text lie.
        words: as ``timed_words`` gives them.
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
    """SVG: a line a token, the audio running to the right.

    Args:
        attention: (tokens, steps) when each token was decoded.
        labels: of the tokens; no more than the first 120 are drawn.
    """
    attention, labels = attention[:MAX_TOKENS], labels[:MAX_TOKENS]
    # Each line to its own brightest step: else tokens that look everywhere would be dark.
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
