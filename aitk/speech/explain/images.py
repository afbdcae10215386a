"""Images that explain a prediction: regions over a spectrogram, and attention to each frame."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from aitk.speech.decoding.seq2seq import STEP_S
from aitk.speech.features.spectrogram_images import RANGE_DB, mel_levels

WIDEST_IN, NARROWEST_IN, HEIGHT_IN, INCHES_A_SECOND = 14.0, 6.5, 3.8, 4.0
TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)
#: The colours of the page's words: for the answer, and against it.
FOR, AGAINST = (0.10, 0.35, 0.85), (0.95, 0.50, 0.05)
#: The heaviest region still lets the recording below it be seen.
MAX_OPACITY = 0.8
OUTLINED_SHARE = 0.5  # regions of at least this share of the largest weight have a frame
ATTENTION_WIDTH_IN, TOKEN_IN, MARGIN_IN = 10.0, 0.2, 1.2
MAX_TOKENS = 120


def occlusion_png(
    samples: np.ndarray, sample_rate_hz: int, regions: Sequence[Mapping[str, float]]
) -> bytes:
    """A picture: the log-mel spectrogram in grey, each region in colour by its weight.

    Args:
        samples: (n,).
        regions: as ``explain_audio`` gives them: ``start_s``, ``end_s``, ``low_hz``, ``high_hz``,
            and ``weight``, by how much the log-odds of the answer fall without the region.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    seconds = len(samples) / sample_rate_hz
    width_in = min(WIDEST_IN, max(NARROWEST_IN, INCHES_A_SECOND * seconds))
    figure = Figure(figsize=(width_in, HEIGHT_IN))
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    levels = mel_levels(samples, sample_rate_hz).T  # (filters, frames)
    highest = _mel(sample_rate_hz / 2)
    axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        cmap="gray_r",
        vmin=levels.max() - RANGE_DB,
        vmax=levels.max() + RANGE_DB / 3,  # no black: colours would not show on it
        extent=(0, seconds, 0, highest),
    )
    largest = max((abs(region["weight"]) for region in regions), default=0.0)
    for region in regions:
        share = abs(region["weight"]) / largest if largest else 0.0
        colour = FOR if region["weight"] > 0 else AGAINST
        low, high = _mel(region["low_hz"]), _mel(region["high_hz"])
        framed = share >= OUTLINED_SHARE
        axes.add_patch(
            Rectangle(
                (region["start_s"], low),
                region["end_s"] - region["start_s"],
                high - low,
                facecolor=(*colour, MAX_OPACITY * share),
                edgecolor=colour if framed else "none",
                linewidth=1.5 if framed else 0,
            )
        )
    ticks = [hertz for hertz in TICKS_HZ if hertz <= sample_rate_hz / 2]
    axes.set_yticks([_mel(hertz) for hertz in ticks], [f"{hertz:,}" for hertz in ticks])
    axes.set(xlabel="seconds", ylabel="Hz", xlim=(0, seconds), ylim=(0, highest))
    # Both halves reach as far, so that a colour means the same weight on either side.
    stops = [(*AGAINST, MAX_OPACITY), (*AGAINST, 0.0), (*FOR, 0.0), (*FOR, MAX_OPACITY)]
    shades = LinearSegmentedColormap.from_list(
        "weights", list(zip((0.0, 0.5, 0.5, 1.0), stops, strict=True))
    )
    reach = largest or 1.0
    bar = figure.colorbar(
        ScalarMappable(Normalize(-reach, reach), shades), ax=axes, pad=0.02, aspect=15
    )
    bar.set_label("fall of the log-odds\nwithout the region")
    figure.tight_layout()
    file = io.BytesIO()
    canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()


def attention_png(looks: np.ndarray, labels: Sequence[str]) -> bytes:
    """A picture with a line a token, the recording running to the right.

    Args:
        looks: (tokens, steps) attention when each token was written.
        labels: of the tokens; no more than the first 120 are drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks, labels = looks[:MAX_TOKENS], list(labels)[:MAX_TOKENS]
    figure = Figure(figsize=(ATTENTION_WIDTH_IN, MARGIN_IN + TOKEN_IN * len(labels)))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    # Each line to its own brightest step: else tokens that look everywhere would be dark.
    shown = looks / np.maximum(looks.max(axis=1, keepdims=True), 1e-9)
    extent = (0.0, looks.shape[1] * STEP_S, len(labels) - 0.5, -0.5)
    axes.imshow(shown, aspect="auto", cmap="magma", interpolation="nearest", extent=extent)
    # A dollar sign would begin mathematics.
    axes.set_yticks(range(len(labels)), [each.replace("$", r"\$") for each in labels], fontsize=8)
    axes.set_xlabel("seconds")
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


def _mel(hertz: float) -> float:
    return float(1127 * np.log1p(hertz / 700))
