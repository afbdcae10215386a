"""Duplicate images: within a split, across splits, with different labels, or near-duplicates."""

from __future__ import annotations

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding
from aitk.core.metrics.class_checks import CONFLICT_SHARE, HELD_OUT_SHARE, count_finding
from aitk.vision.data.quality.near_duplicates import MIN_CORRELATION, SmallCopies, find_pairs
from aitk.vision.data.quality.statistics import Names

EXAMPLES = 10


def group_files(digests: np.ndarray) -> np.ndarray:
    """(rows,) file digests -> for each row the first row with the same file."""
    _, first, same = np.unique(digests, return_index=True, return_inverse=True)
    return first[same]


def find_duplicates(groups: np.ndarray, splits: np.ndarray, names: Names) -> Finding:
    """Find rows whose file already occurs in their split.

    Args:
        groups: (rows,) from ``group_files``.
        splits: (rows,) indices into ``SPLITS``.
        names: names of the rows' images.
    """
    _, first = np.unique(groups * len(SPLITS) + splits, return_index=True)
    repeated = np.ones(len(groups), bool)
    repeated[first] = False
    return count_finding(
        "duplicates",
        int(repeated.sum()),
        len(groups),
        "rows whose file already occurs in their split",
        examples=_examples(np.flatnonzero(repeated), names),
    )


def find_leakage(groups: np.ndarray, splits: np.ndarray, names: Names) -> Finding:
    """Find held-out rows whose file occurs in an earlier split; arguments as above."""
    earlier = np.isin(groups, groups[splits == 0])
    earlier |= (splits == 2) & np.isin(groups, groups[splits == 1])
    leaked = (splits > 0) & earlier
    return count_finding(
        "duplicates across splits",
        int(leaked.sum()),
        int((splits > 0).sum()),
        "held-out rows whose file occurs in another split, which inflates scores",
        error_share=HELD_OUT_SHARE,
        examples=_examples(np.flatnonzero(leaked), names),
    )


def find_near_duplicates(
    groups: np.ndarray,
    splits: np.ndarray,
    names: Names,
    *,
    hashes: np.ndarray,
    copies: SmallCopies,
    shows: np.ndarray,
) -> Finding:
    """Find held-out images that look like one of another split, such as video frames.

    Args:
        copies: small copies of the rows' images.
        hashes: (rows, 16) uint8 from ``image_hash``.
        shows: rows with visible content; all flat images look alike.
    """
    pairs = shows[find_pairs(hashes[shows], splits[shows])]
    pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]  # equal files are reported above
    pairs = pairs[copies.correlations(pairs) >= MIN_CORRELATION]
    later = np.where(splits[pairs[:, 0]] > splits[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    shown = [
        f"{names[left]} ({SPLITS[splits[left]]}) and {names[right]} ({SPLITS[splits[right]]})"
        for left, right in pairs[:EXAMPLES].tolist()
    ]
    return count_finding(
        "near-duplicates across splits",
        len(np.unique(later)),
        int((splits > 0).sum()),
        "held-out images that look like one of another split, which inflates scores",
        examples=shown,
    )


def find_conflicts(groups: np.ndarray, labels: np.ndarray, names: Names) -> Finding:
    """Find rows whose file occurs elsewhere with another label.

    Args:
        labels: (rows,) label numbers, -1 for none.
    """
    pairs = np.unique(np.stack([groups, labels])[:, labels >= 0], axis=1)
    files, counts = np.unique(pairs[0], return_counts=True)
    rows = np.flatnonzero(np.isin(groups, files[counts > 1]))
    rows = rows[np.argsort(groups[rows], kind="stable")]  # adjacent
    return count_finding(
        "conflicting labels",
        len(rows),
        len(groups),
        "rows whose file occurs elsewhere with another label",
        error_share=CONFLICT_SHARE,
        examples=_examples(rows, names),
    )


def _examples(rows: np.ndarray, names: Names) -> list[str]:
    return [names[row] for row in rows[:EXAMPLES].tolist()]
