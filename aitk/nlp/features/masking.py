"""Masking of tokens for masked language modelling (Devlin et al. 2018, section 3.1). NumPy only."""

from __future__ import annotations

import zlib

import numpy as np

HIDDEN_SHARE = 0.8
RANDOM_SHARE = 0.1


def choose_tokens(
    token_ids: np.ndarray,
    word_ids: np.ndarray,
    *,
    share: float,
    whole_words: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the positions to predict, in order.

    Args:
        token_ids: (length,) ids of a text.
        word_ids: (length,) the word each belongs to; -1 for special tokens, which are never drawn.
        share: share of tokens to draw, at least one token.
        whole_words: select all tokens of a word or none.
    """
    candidates = np.flatnonzero(word_ids >= 0)
    if not len(candidates):
        return candidates
    count = max(1, round(share * len(candidates)))
    if not whole_words:
        return np.sort(rng.choice(candidates, count, replace=False))
    chosen: list[int] = []
    for word in rng.permutation(np.unique(word_ids[candidates])):
        chosen += np.flatnonzero(word_ids == word).tolist()
        if len(chosen) >= count:
            break
    return np.sort(np.array(chosen))


def hide_tokens(
    token_ids: np.ndarray,
    positions: np.ndarray,
    *,
    mask_id: int,
    ordinary: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Replace drawn tokens: 80% by the mask, 10% by a random ordinary token, 10% unchanged.

    Args:
        ordinary: ids of all tokens that are not special.

    Returns:
        A changed copy of ``token_ids``.
    """
    hidden = token_ids.copy()
    fate = rng.random(len(positions))
    hidden[positions[fate < HIDDEN_SHARE]] = mask_id
    randomized = positions[(fate >= HIDDEN_SHARE) & (fate < HIDDEN_SHARE + RANDOM_SHARE)]
    hidden[randomized] = rng.choice(ordinary, len(randomized))
    return hidden


def own_rng(token_ids: np.ndarray) -> np.random.Generator:
    """A generator seeded by the text, so that evaluation is repeatable."""
    return np.random.default_rng(zlib.crc32(token_ids.astype("<i4").tobytes()))
