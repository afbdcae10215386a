"""Logits to labels. Part of the scripts of bundles; NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def decode_labels(logits: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The best label of one row with its probability; with ``thresholds``, all that reach them.

    Args:
        logits: (labels,)
    """
    labels, thresholds = settings["labels"], settings["thresholds"]
    if thresholds:
        small = np.exp(-np.abs(logits))
        probabilities = np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
        order = np.argsort(-probabilities, kind="stable")
        kept = [at for at in order if probabilities[at] >= thresholds[at]]
        return {
            "prediction": [labels[at] for at in kept],
            "probabilities": [round(float(probabilities[at]), 6) for at in kept],
        }
    raised = np.exp(logits - logits.max())
    probabilities = raised / raised.sum()
    best = int(np.argmax(probabilities))
    return {"prediction": labels[best], "probability": round(float(probabilities[best]), 6)}
