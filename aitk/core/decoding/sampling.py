"""Sampling of the next token from its logits. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from aitk.core.metrics.classification import log_softmax


def choose_token(
    logits: np.ndarray,
    *,
    temperature: float,
    top_p: float,
    rng: np.random.Generator,
    top_k: int = 0,
) -> int:
    """Sample from the ``top_k`` likeliest tokens (Fan et al. 2018), restricted to the nucleus
    (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration").

    Args:
        logits: (vocabulary,).
        temperature: divisor of the logits; 0 selects the likeliest token.
        top_p: probability mass of the nucleus, the smallest set of likeliest tokens.
        top_k: 0 for all.
    """
    if temperature == 0:
        return int(logits.argmax())
    scaled = np.asarray(logits, np.float64) / temperature
    if 0 < top_k < len(scaled):
        scaled = np.where(scaled >= np.partition(scaled, -top_k)[-top_k], scaled, -np.inf)
    probabilities = np.exp(log_softmax(scaled))
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    nucleus = order[before < top_p]
    share = probabilities[nucleus] / probabilities[nucleus].sum()
    return int(rng.choice(nucleus, p=share))


def penalize_repetition(logits: np.ndarray, seen: Iterable[int], penalty: float) -> np.ndarray:
    """Lower the logits of tokens already seen (Keskar et al. 2019, CTRL, section 4.1).

    Args:
        logits: (vocabulary,).
        penalty: at least 1, which changes nothing.
    """
    if penalty == 1:
        return logits
    ids = np.fromiter(set(seen), np.int64)
    lowered = np.array(logits)
    own = lowered[ids]
    lowered[ids] = np.where(own > 0, own / penalty, own * penalty)
    return lowered
