"""Texts as padded arrays of token ids, with the mask that says which are real."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aitk.nlp.features.assets import TextAssets


def token_arrays(texts: Sequence[str], assets: TextAssets) -> list[np.ndarray]:
    """Token ids of each text, int32, cut to ``assets.max_length``."""
    encoded = assets.tokenizer.encode_many(texts, assets.max_length)
    # A text without a single known token still needs one position to be a row of a batch.
    return [np.asarray(ids or [0], np.int32) for ids in encoded]


def pad_tokens(
    tokens: Sequence[Sequence[int] | np.ndarray], *, pad_to: int | None = None
) -> dict[str, np.ndarray]:
    """Stack token ids.

    Returns:
        ``token_ids`` (batch, length) int32, zero where padded, and ``padding_mask``
        (batch, length) int32, 1 where a token is real.
    """
    length = pad_to or max(len(ids) for ids in tokens)
    token_ids = np.zeros((len(tokens), length), np.int32)
    mask = np.zeros((len(tokens), length), np.int32)
    for row, ids in enumerate(tokens):
        kept = ids[:length]
        token_ids[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    return {"token_ids": token_ids, "padding_mask": mask}
