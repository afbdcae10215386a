"""From attributes of items (or users) to feature vectors.

Every feature is a matrix with a unit-length row per item, or a zero row for an item without the
attribute.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name

if TYPE_CHECKING:
    import pyarrow

#: A feature: (items, d) float32, dense or a SciPy CSR array.
Feature = Any

AUTO, NONE = "auto", "none"
#: Attribute kinds compared directly; images and audio are compared by their vectors.
COMPARED = ("text", "tags", "number", "vector")
#: Maximum words kept per text column, most frequent first.
MOST_WORDS = 50_000
#: Number of quantiles for binning numbers.
MOST_BINS = 16

# Scripts written without spaces: kana, ideographs, Thai, Lao, Burmese, Khmer.
_UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)


def item_features(
    table: pyarrow.Table, kinds: Mapping[str, str], *, wanted: str = AUTO
) -> dict[str, Feature]:
    """Compute the features of a table of attributes.

    - text: TF-IDF of words and word bigrams; of characters in scripts without spaces. Those of a
      single item are omitted.
    - tags: one column per tag, weighted by inverse document frequency.
    - number: soft bins, see ``number_bins``.
    - vector: its difference from the mean, scaled to unit length (the common component would make
      all vectors alike; Mu and Viswanath 2018).

    Items without an attribute do not affect the features of others.

    Args:
        table: one row per item, with the columns named in ``kinds``.
        kinds: name of an attribute -> text, tags, number, vector, picture or audio. Images and
            audio are compared by their vectors, in the column ``NAME_vector``.
        wanted: ``auto`` (all comparable attributes), ``none``, or comma-separated names.

    Returns:
        Name -> (items, d) float32, in table order. ``auto`` skips attributes that no item has.

    Raises:
        UsageError: a name is unknown, cannot be compared, or no item has such an attribute.
    """
    features = {}
    for name in _chosen(kinds, wanted):
        feature = _MAKERS[kinds[name]](table.column(name))
        if feature is not None:
            features[name] = feature
        elif wanted != AUTO:
            raise UsageError(f"items share no values of {name!r}", where="features")
    return features


def reduced(
    features: Mapping[str, Feature], *, size: int = 128, seed: int = 0
) -> dict[str, np.ndarray]:
    """The features as dense matrices, for neural models.

    A sparse feature with more than ``size`` columns is reduced to ``size`` dimensions by truncated
    SVD (latent semantic analysis, Deerwester et al. 1990; randomised, Halko et al. 2011).

    Returns:
        Name -> (items, d) float32, with rows of unit length or zero.
    """
    from scipy import sparse

    dense = {}
    for name, feature in features.items():
        if not sparse.issparse(feature):
            dense[name] = np.asarray(feature, np.float32)
        elif min(feature.shape) <= size:
            dense[name] = feature.toarray().astype(np.float32)
        else:
            from sklearn.utils.extmath import randomized_svd

            left, values, _ = randomized_svd(feature, size, random_state=seed)
            known = (
                np.diff(feature.indptr)[:, None] > 0
            )  # rounding errors would give zero rows a direction
            dense[name] = unit_rows(left * values * known)
    return dense


def number_bins(values: np.ndarray) -> np.ndarray | None:
    """Soft bins of numbers, so that close values are similar and distant ones are not.

    Knots are at the quantiles; a number between two knots belongs to both, with linear weights.


    Args:
        values: (items,) NaN if missing.

    Returns:
        (items, knots) float32, rows of unit length or zero; None if no value is finite.
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    if not known.any():
        return None
    shares = np.linspace(0, 1, MOST_BINS)
    knots = np.unique(np.quantile(values[known], shares, method="nearest"))
    place = np.interp(np.where(known, values, knots[0]), knots, np.arange(len(knots)))
    bins = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(knots))))
    return unit_rows(bins * known[:, None])


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; zero rows, and rows with non-finite values, become zero."""
    matrix = np.where(np.isfinite(matrix).all(axis=1, keepdims=True), matrix, 0)
    # Scaling by the largest value first prevents overflow of squares.
    largest = np.abs(matrix).max(axis=1, keepdims=True, initial=0)
    matrix = matrix / np.where(largest > 0, largest, 1)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return (matrix / np.where(norms > 0, norms, 1)).astype(np.float32)


def words_of(text: str) -> list[str]:
    """Words and word bigrams of a text in any script, in lower case.

    For scripts without spaces: characters and character bigrams.
    """
    words, unspaced = _patterns()
    found: list[str] = []
    run: list[str] = []
    for word in words.findall(unicodedata.normalize("NFKC", text).lower()):
        for part in unspaced.split(word):
            if not part:
                continue
            if unspaced.match(part):
                found += [*run, *_pairs(run, " "), *part, *_pairs(part, "")]
                run = []
            else:
                run.append(part)
    return [*found, *run, *_pairs(run, " ")]


def _pairs(parts: Sequence[str], between: str) -> list[str]:
    return [between.join(pair) for pair in itertools.pairwise(parts)]


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The patterns of words, and of runs of scripts without spaces.

    Python's ``\\w`` lacks combining marks, without which words of many scripts fall apart.
    """
    marks = (chr(code) for code in range(0x10000) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(f"(?:[^\\W_]|[{''.join(marks)}])+"), re.compile(f"([{_UNSPACED}]+)")


def _chosen(kinds: Mapping[str, str], wanted: str) -> list[str]:
    """The requested names, in the order of ``kinds``."""
    if wanted == NONE:
        return []
    usable = [name for name, kind in kinds.items() if kind in COMPARED]
    if wanted == AUTO:
        return usable
    chosen = set()
    for name in (each.strip() for each in wanted.split(",")):
        if f"{name}_vector" in usable and name not in usable:
            name = f"{name}_vector"
        if name in usable:
            chosen.add(name)
        elif name in kinds:
            raise UsageError(
                f"{name!r} is of kind {kinds[name]}, but the prepared data has no vectors for it",
                where="features",
                hint="Give an encoder when preparing the data",
            )
        elif not usable:
            raise UsageError(f"no feature {name!r}: the prepared data has none", where="features")
        else:
            raise unknown_name(name, kinds, what="feature")
    return [name for name in usable if name in chosen]


def _text(column: pyarrow.ChunkedArray) -> Feature | None:
    return _weighted(column.to_pylist(), words_of, at_least=2)


def _tags(column: pyarrow.ChunkedArray) -> Feature | None:
    return _weighted(column.to_pylist(), _different, at_least=1)


def _different(tags: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip().casefold() for tag in tags if tag and tag.strip()))


def _weighted(
    values: Sequence[Any], split: Callable[[Any], list[str]], *, at_least: int
) -> Feature | None:
    """TF-IDF, with rows of unit length.

    Args:
        split: splits a value into terms.
        at_least: minimum number of items with a term.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = np.array([bool(value) for value in values], bool)
    parts = [split(value) for value in values if value]
    vectorizer = TfidfVectorizer(
        analyzer=_as_it_is,
        min_df=min(at_least, max(len(parts), 1)),
        max_features=MOST_WORDS,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        weighted = vectorizer.fit_transform(parts)
    except ValueError:  # no terms are left: there were none, or no two items share one
        return None
    lengths = np.zeros(len(values), np.int64)
    lengths[known] = np.diff(weighted.indptr)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(weighted.indptr.dtype)
    return sparse.csr_array(
        (weighted.data, weighted.indices, ends), shape=(len(values), weighted.shape[1])
    )


def _as_it_is(parts: list[str]) -> list[str]:
    return parts


def _number(column: pyarrow.ChunkedArray) -> Feature | None:
    return number_bins(np.array(column.to_pylist(), float))


def _vector(column: pyarrow.ChunkedArray) -> Feature | None:
    size = column.type.list_size
    vectors = column.combine_chunks().flatten().to_numpy().reshape(-1, size)
    broken = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
    vectors = np.where(broken[:, None], 0, vectors.astype(np.float64))
    if broken.all():
        return None
    if (~broken).sum() > 1:
        differences = vectors - vectors[~broken].mean(axis=0)
        # Equal vectors leave only rounding errors, which have no meaningful direction.
        equal = np.abs(differences).max(axis=1) <= 1e-6 * np.abs(vectors).max(axis=1)
        vectors = np.where((broken | equal)[:, None], 0, differences)
    matrix = np.zeros((len(column), size), np.float32)
    matrix[np.asarray(column.is_valid())] = unit_rows(vectors)
    return matrix


_MAKERS: dict[str, Callable[[Any], Feature | None]] = {
    "text": _text,
    "tags": _tags,
    "number": _number,
    "vector": _vector,
}
