"""Nearest neighbours of a vector: words of the vocabulary, or texts of a file; and analogies.

The searched vectors are computed once and cached in ``EmbedAssets.memo``.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Task
from aitk.core.io.files import check_file
from aitk.core.runtime.environment import DISTRIBUTION
from aitk.nlp.data.options import EmbedOptions, EmbedReading
from aitk.nlp.decoding.neighbours import NeighbourGraph, analogy_targets, nearest, unit_rows
from aitk.nlp.features.embed_assets import Arrays, EmbedAssets

#: Analogies use this many of the most frequent words as candidates, as in gensim.
CANDIDATES = 30_000
TEXTS_AT_ONCE = 256

Predict = Callable[[Mapping[str, np.ndarray]], Any]


@dataclass(frozen=True)
class Found:
    """The nearest texts of each query, {"text": str, "similarity": float} each."""

    rows: Sequence[list[dict[str, Any]]]


@dataclass(frozen=True)
class AnalogyResults:
    """Per analogy: whether it is correct, whether its words are known, (rows,) bool each; and the
    word found."""

    correct: np.ndarray
    known: np.ndarray
    words: Sequence[str | None]


def with_index(assets: EmbedAssets, options: EmbedOptions) -> EmbedAssets:
    """The assets with the file that the options search, if any.

    Raises:
        DataError: the file is missing.
        UsageError: the words of a model without words are searched, or the package of approximate
            search is missing.
    """
    searches = options.neighbours or options.nearest is not None
    if searches and options.index is None and assets.units is None:
        raise UsageError(
            "the model has no word vocabulary",
            where="--neighbours" if options.neighbours else "--nearest",
            hint="Search texts with --index FILE",
        )
    if options.approximate:
        _check_approximate(options)
    if options.index is None:
        return assets
    check_file(Path(options.index))
    return dataclasses.replace(assets, index=options.index, memo={})


def search_words(
    vectors: np.ndarray,
    queries: Sequence[Arrays],
    predict: Predict,
    assets: EmbedAssets,
    *,
    count: int,
) -> Found:
    """The nearest words of the vocabulary; a query of one word excludes that word.

    Args:
        vectors: (queries, d).
        queries: the encoded texts.

    Raises:
        UsageError: the model has no words.
    """
    if assets.units is None:
        raise UsageError(
            "the model has no word vocabulary", where="--nearest",
            hint="Search texts with --index FILE",
        )  # fmt: skip
    table = word_vectors(predict, assets)
    own = np.array([_only_word(query, len(table)) for query in queries])[:, None]
    best, cosines = nearest(unit_rows(vectors), table, count=count, exclude=own)
    return _found(best, cosines, assets.units.words)


def search_texts(
    vectors: np.ndarray,
    index: str,
    predict: Predict,
    assets: EmbedAssets,
    task: Task[Any],
    *,
    count: int,
    approximate: bool = False,
) -> Found:
    """The nearest texts of a file.

    Args:
        vectors: (queries, d).
        index: the file, read like texts of ``task``.
        approximate: search in a ``NeighbourGraph``.

    Raises:
        DataError: it contains no text.
    """
    if "index" not in assets.memo:
        assets.memo["index"] = _embed_file(index, predict, assets, task)
    texts, table = assets.memo["index"]
    if approximate:
        if "graph" not in assets.memo:
            assets.memo["graph"] = NeighbourGraph(table)
        best, cosines = assets.memo["graph"].nearest(unit_rows(vectors), count=count)
    else:
        best, cosines = nearest(unit_rows(vectors), table, count=count)
    return _found(best, cosines, texts)


def word_vectors(predict: Predict, assets: EmbedAssets) -> np.ndarray:
    """The vectors of the words of the vocabulary, (words, d) float32 of length 1."""
    if "words" not in assets.memo:
        units: Any = assets.units
        one = np.ones(1, np.float32)
        parts = []
        for start in range(0, len(units.words), 4096):
            last = min(start + 4096, len(units.words))
            texts = [
                {"ids": np.array([number], np.int32), "weights": one}
                for number in range(start, last)
            ]
            parts.append(unit_rows(predict(assets.pad(texts))))
        assets.memo["words"] = np.concatenate(parts)
    return assets.memo["words"]


def complete_analogies(
    targets: Sequence[tuple[str, Sequence[str]]], predict: Predict, assets: EmbedAssets
) -> AnalogyResults:
    """Complete analogies by 3CosAdd among the ``CANDIDATES`` most frequent words.

    Args:
        targets: section and four words of each row.

    Raises:
        UsageError: the model has no words.
    """
    if assets.units is None:
        raise UsageError("analogies need word vectors", where="--data")
    units = assets.units
    table = word_vectors(predict, assets)[:CANDIDATES]
    correct, known = np.zeros(len(targets), bool), np.zeros(len(targets), bool)
    ids = np.zeros((len(targets), 4), np.int64)
    for row, (_, words) in enumerate(targets):
        numbers = [units.ids.get(word.lower() if units.lowercase else word, -1) for word in words]
        known[row] = all(0 <= number < len(table) for number in numbers)
        ids[row] = numbers if known[row] else 0
    found: list[str | None] = [None] * len(targets)
    if known.any():
        asked = ids[known]
        wanted = analogy_targets(table[asked[:, 0]], table[asked[:, 1]], table[asked[:, 2]])
        best, _ = nearest(wanted, table, count=1, exclude=asked[:, :3])
        correct[known] = best[:, 0] == asked[:, 3]
        for row, number in zip(np.flatnonzero(known).tolist(), best[:, 0].tolist(), strict=True):
            found[row] = units.words[number]
    return AnalogyResults(correct, known, found)


def _check_approximate(options: EmbedOptions) -> None:
    if options.index is None:
        raise UsageError("searches the texts of a file", where="--approximate", hint="Add --index")
    if importlib.util.find_spec("usearch") is None:
        raise UsageError(
            "approximate search needs usearch",
            where="--approximate",
            hint=f"pip install '{DISTRIBUTION}[search]', or search exactly without it",
        )


def _embed_file(
    index: str, predict: Predict, assets: EmbedAssets, task: Task[Any]
) -> tuple[list[str], np.ndarray]:
    items = task.read([index], EmbedReading(), labelled=False, note=lambda _: None)
    texts = [item.fields["text"] for item in items if not isinstance(item, Refusal)]
    if not texts:
        raise DataError("contains no text", where=index)
    parts: list[np.ndarray] = []
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        encoded = assets.encode([texts[place] for place in order[start : start + TEXTS_AT_ONCE]])
        parts.append(unit_rows(predict(assets.pad(encoded))))
    table = np.concatenate(parts)
    return texts, table[np.argsort(order)]


def _only_word(query: Arrays, words: int) -> int:
    """The id of a text that is a single known word, else -1."""
    ids, weights = query["ids"], query["weights"]
    return int(ids[0]) if len(ids) == 1 and weights[0] > 0 and ids[0] < words else -1


def _found(best: np.ndarray, cosines: np.ndarray, texts: Sequence[str]) -> Found:
    return Found(
        [
            [
                {"text": texts[place], "similarity": round(float(cosine), 6)}
                for place, cosine in zip(places, similar, strict=True)
                if np.isfinite(cosine)
            ]
            for places, similar in zip(best, cosines, strict=True)
        ]
    )
