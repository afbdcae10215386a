"""The label of a text from a model's logits. Part of the scripts of bundles; NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.edge.labels import decode_labels


def decode(
    outputs: np.ndarray,
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    tables: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The output of ``aitk nlp predict`` for the text."""
    return decode_labels(outputs[0], settings)
