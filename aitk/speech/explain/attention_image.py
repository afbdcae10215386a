"""Where a model looked in a sound when it wrote each token: a picture of its attention."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from aitk.speech.decoding.seq2seq import STEP_S

WIDTH_IN, TOKEN_IN, MARGIN_IN = 10.0, 0.2, 1.2
MAX_TOKENS = 120


def attention_png(looks: np.ndarray, labels: Sequence[str]) -> bytes:
    """A picture with a line a token, the sound running to the right.

    Args:
        looks: (tokens, steps) attention when each token was written.
        labels: of the tokens; no more than the first 120 are drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks, labels = looks[:MAX_TOKENS], list(labels)[:MAX_TOKENS]
    figure = Figure(figsize=(WIDTH_IN, MARGIN_IN + TOKEN_IN * len(labels)))
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
