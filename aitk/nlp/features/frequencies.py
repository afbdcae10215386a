"""In how many texts a unit occurs, and what it weighs by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.metrics.baselines import spread
from aitk.core.training.batches import take_rows
from aitk.nlp.features.tokenizers import Tokenizer

#: So many texts, evenly spread, are counted.
COUNTED_TEXTS = 50_000
TEXTS_AT_ONCE = 1024


def inverse_frequencies(
    rows: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, *, max_length: int
) -> np.ndarray:
    """The inverse document frequency of each unit (Spärck Jones 1972), smoothed, at least 1.

    Returns:
        (units,) float32: 1 + log((1 + texts) / (1 + texts with the unit)).
    """
    places = spread(len(rows), COUNTED_TEXTS)
    counts = np.zeros(tokenizer.vocabulary_size, np.int64)
    for start in range(0, len(places), TEXTS_AT_ONCE):
        taken = take_rows(rows, places[start : start + TEXTS_AT_ONCE])
        for ids in tokenizer.encode_many([row["text"] for row in taken], max_length):
            counts[np.unique(ids)] += 1
    return (1 + np.log((1 + len(places)) / (1 + counts))).astype(np.float32)
