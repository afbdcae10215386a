"""Texts as padded arrays of token ids, and the document frequencies of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.decoding.incremental import room_for
from aitk.core.metrics.baselines import Rows, spread
from aitk.core.training.batches import take_rows
from aitk.nlp.features.assets import TextAssets
from aitk.nlp.features.tokenizers.hashing import HashedNgrams
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, Tokenizer

#: Maximum number of texts counted, evenly spread.
COUNTED_TEXTS = 50_000
TEXTS_AT_ONCE = 1024


def token_arrays(rows: Sequence[Mapping[str, Any]], assets: TextAssets) -> list[np.ndarray]:
    """Token ids (int32) of each row's ``text``, and of its ``pair`` if it has one, truncated to
    ``assets.max_length``."""
    if isinstance(assets.tokenizer, HashedNgrams):
        texts = [whole_text(row) for row in rows]
        return assets.tokenizer.encode_arrays(texts, assets.max_length)
    texts = [row["text"] for row in rows]
    if any("pair" in row for row in rows):
        pairs = [row.get("pair", "") for row in rows]
        encoded = assets.tokenizer.encode_pairs(texts, pairs, assets.max_length)
    else:
        encoded = assets.tokenizer.encode_many(texts, assets.max_length)
    # A text without known tokens still needs one position in a batch.
    return [np.asarray(ids or [0], np.int32) for ids in encoded]


def whole_text(row: Mapping[str, Any]) -> str:
    """The text of a row, or both of its pair."""
    return f"{row['text']}\n{row['pair']}" if "pair" in row else row["text"]


def pad_tokens(
    tokens: Sequence[Sequence[int] | np.ndarray] | np.ndarray, *, pad_to: int | None = None
) -> dict[str, np.ndarray]:
    """Stack token ids.

    Returns:
        ``token_ids`` (batch, length) int32, zero where padded, and ``padding_mask``
        (batch, length) int32, 1 for real tokens.
    """
    lengths = np.fromiter(map(len, tokens), np.int32, len(tokens))
    length = pad_to or int(lengths.max())
    mask = np.arange(length, dtype=np.int32) < lengths[:, None]
    token_ids = np.zeros(mask.shape, np.int32)
    token_ids[mask] = np.concatenate([ids[:length] for ids in tokens])
    return {"token_ids": token_ids, "padding_mask": mask.astype(np.int32)}


def pad_shifted(
    targets: Sequence[np.ndarray],
    starts: Sequence[int],
    end_id: int,
    *,
    pad_to: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a decoder reads and writes of each target, (batch, length) each.

    Returns:
        The tokens read, which begin with ``starts``; those to write, which end with ``end_id``;
        and their weights, 0 for all starts but the first and in padding, whose mean over all
        positions is 1: a loss that is a mean over all positions becomes that over those in use.
    """
    read = [np.concatenate([starts, each]) for each in targets]
    written = [np.concatenate([starts[1:], each, [end_id]]) for each in targets]
    length = pad_to or max(map(len, written))
    known = pad_tokens(written, pad_to=length)
    weights = known["padding_mask"].astype(np.float32)
    weights[:, : len(starts) - 1] = 0
    weights *= weights.size / weights.sum()
    return pad_tokens(read, pad_to=length)["token_ids"], known["token_ids"], weights


def pad_in_steps(
    texts: Sequence[Sequence[int] | np.ndarray] | np.ndarray, max_length: int
) -> dict[str, np.ndarray]:
    """The inputs of texts of up to ``max_length`` tokens, padded to one of a few lengths."""
    return pad_tokens(texts, pad_to=min(max_length, room_for(max(map(len, texts)))))


def sif_weights(
    rows: Rows,
    encode: Callable[[Rows], Iterable[Sequence[int] | np.ndarray]],
    tokenizer: SubwordTokenizer,
    *,
    sif: float,
) -> np.ndarray:
    """Weight of each unit, (units,): sif / (sif + p), where p is its share of the rows' texts.

    Arora et al. 2017, section 3. Special tokens weigh 0.

    Args:
        encode: rows to the token ids of their texts.
        sif: 0 for uniform weights.
    """
    places = spread(len(rows), COUNTED_TEXTS)
    counts = np.zeros(tokenizer.vocabulary_size, np.float64)
    for start in range(0, len(places), TEXTS_AT_ONCE):
        for ids in encode(take_rows(rows, places[start : start + TEXTS_AT_ONCE])):
            np.add.at(counts, ids, 1)
    special = list(tokenizer.special_ids)
    counts[special] = 0
    weights = sif / (sif + counts / max(1.0, counts.sum())) if sif else np.ones(len(counts))
    weights[special] = 0
    return weights


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
        texts = [whole_text(row) for row in taken]
        if isinstance(tokenizer, HashedNgrams):
            encoded: Sequence[Any] = tokenizer.encode_arrays(texts, max_length)
        else:
            encoded = tokenizer.encode_many(texts, max_length)
        for ids in encoded:
            counts[ids] += 1  # once, however often an id comes
    return (1 + np.log((1 + len(places)) / (1 + counts))).astype(np.float32)
