"""The label of a recording. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.edge.labels import decode_labels
from aitk.speech.edge.filterbank import compute_features


def encode(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``features`` (1, frames, d) float32 and ``padding_mask`` (1, frames) int32 of ``samples``."""
    seconds = len(fields["samples"]) / settings["sample_rate_hz"]
    if not settings["min_seconds"] <= seconds <= settings["max_seconds"]:
        raise ValueError(f"it is {seconds:.2f} s long")
    features = compute_features(fields["samples"], settings, tables)[None]
    return {"features": features, "padding_mask": np.ones(features.shape[:2], np.int32)}


def decode(
    outputs: np.ndarray,
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    tables: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What ``aitk speech predict`` gives for the recording."""
    return decode_labels(outputs[0], settings)
