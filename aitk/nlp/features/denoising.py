"""Texts with spans taken out, which an encoder-decoder writes again. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def draw_spans(
    length: int, *, share: float, mean: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw spans of tokens, in order, at least one token apart.

    Their lengths are Poisson (Lewis et al. 2020, BART, section 2.2), but never 0, and together
    ``share`` of the tokens, at least one.

    Args:
        length: tokens of the text.
        mean: of the lengths.

    Returns:
        (start, end) of each span; none for a text without tokens.
    """
    if not length:
        return []
    left = min(length, max(1, round(share * length)))
    sizes: list[int] = []
    # Spans need a token between them: no more than those that stay, and one.
    while left and len(sizes) <= length - sum(sizes) - left:
        sizes.append(min(left, max(1, int(rng.poisson(mean)))))
        left -= sizes[-1]
    kept = length - sum(sizes)
    gaps = np.sort(rng.choice(kept + 1, len(sizes), replace=False))
    spans, before = [], 0
    for gap, size in zip(gaps.tolist(), sizes, strict=True):
        spans.append((gap + before, gap + before + size))
        before += size
    return spans


def infill(ids: np.ndarray, spans: Sequence[tuple[int, int]], *, mask_id: int) -> np.ndarray:
    """The text with each span as one mask: what BART reads to write the whole text."""
    parts, at = [], 0
    for start, end in spans:
        parts += [ids[at:start], [mask_id]]
        at = end
    return np.concatenate([*parts, ids[at:]]).astype(np.int32)


def split_spans(
    ids: np.ndarray, spans: Sequence[tuple[int, int]], *, sentinels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Source and target of T5 (Raffel et al. 2020, section 3.1.4).

    Each span is a mark of its own in the source; the target is each mark and its span. Spans beyond
    the number of marks stay in the text.
    """
    source: list[np.ndarray | list[int]] = []
    target: list[np.ndarray | list[int]] = []
    at = 0
    for (start, end), mark in zip(spans, sentinels, strict=False):
        source += [ids[at:start], [mark]]
        target += [[mark], ids[start:end]]
        at = end
    return (
        np.concatenate([*source, ids[at:]]).astype(np.int32),
        np.concatenate([*target, []]).astype(np.int32),
    )
