"""Near-duplicate images, found by perceptual hashes.

The hash encodes where an image gets brighter, from left to right and from top to bottom, in
8 x 8 patches per direction (the difference hash of Krawetz, "Kind of Like That", 2013). Another
size, format, compression or brightness changes few of its 128 bits. Images with little content,
such as two handwritten digits, may also agree, so candidates are compared pixel by pixel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np

#: Maximum number of differing bits between near-duplicates.
MAX_BITS = 7
#: Grey-level differences between patches below this are noise.
_MIN_STEP = 0.5
#: Minimum correlation between the small copies of near-duplicates. Handwritten digits with equal
#: hashes reach .988; JPEG at quality 40 and frames a second apart exceed .99.
MIN_CORRELATION = 0.99
_COPY_SIDE = 16
# With this many bands, two hashes that differ in MAX_BITS bits share at least one band.
_BANDS = MAX_BITS + 1
#: Images without structure share bands in large groups, which are skipped.
_MAX_PAIRS = 20_000_000
_AT_ONCE = 4_000_000


def image_hash(grey: np.ndarray) -> np.ndarray:
    """The hash of an image (h, w) uint8 grey: (16,) uint8."""
    import cv2

    small = cv2.resize(grey, (9, 9), interpolation=cv2.INTER_AREA).astype(np.float32)
    across = np.diff(small, axis=1)[:8] > _MIN_STEP
    down = np.diff(small, axis=0)[:, :8] > _MIN_STEP
    return np.packbits(np.concatenate([across.ravel(), down.ravel()]))


class SmallCopies:
    """A small grey copy of every image, stored on disk so that memory use stays constant."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the copies
        self._count = 0

    def add(self, grey: np.ndarray) -> None:
        """Store a copy of an image (h, w) uint8 grey."""
        import cv2

        small = cv2.resize(grey, (_COPY_SIDE, _COPY_SIDE), interpolation=cv2.INTER_AREA)
        self._file.write(small.tobytes())
        self._count += 1

    def correlations(self, pairs: np.ndarray) -> np.ndarray:
        """Correlation of the images of each pair (n, 2): (n,), 1 for equal images."""
        if not len(pairs):
            return np.zeros(0)
        self._file.flush()
        shape = self._count, _COPY_SIDE * _COPY_SIDE
        copies = np.memmap(self._file, np.uint8, mode="r", shape=shape)
        found = [
            _correlation(copies[part[:, 0]], copies[part[:, 1]])
            for part in np.array_split(pairs, 1 + len(pairs) // 10_000)
        ]
        return np.concatenate(found)


def _correlation(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlation of each row with its counterpart."""
    left, right = (side - side.mean(axis=1, keepdims=True, dtype=np.float32)
                   for side in (left, right))  # fmt: skip
    spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return (left * right).sum(axis=1) / np.maximum(spread, 1e-6)


def find_pairs(hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Pairs of near-duplicates from different groups.

    Args:
        hashes: (n, 16) uint8.
        groups: (n,) the split of each.

    Returns:
        (pairs, 2) row numbers, each pair once, sorted. Pairs in bands shared by thousands of
        images may be missing.
    """
    bands = np.ascontiguousarray(hashes).view(np.uint16).reshape(len(hashes), _BANDS)
    words = np.ascontiguousarray(hashes).view(np.uint64).reshape(len(hashes), 2)
    found = [np.zeros((0, 2), np.int64)]
    for band in bands.T:
        for rows in _buckets(band):
            for group in np.unique(groups[rows])[:-1]:
                left, right = rows[groups[rows] == group], rows[groups[rows] > group]
                if len(left) * len(right) <= _MAX_PAIRS:
                    found.append(_close(words, left, right))
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs, axis=0)


def _buckets(band: np.ndarray) -> Iterator[np.ndarray]:
    """Groups of rows with equal values; single rows are omitted."""
    order = np.argsort(band, kind="stable")
    starts = np.flatnonzero(np.diff(band[order])) + 1
    return (rows for rows in np.split(order, starts) if len(rows) > 1)


def _close(words: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The pairs of rows whose hashes differ in few bits."""
    found = [np.zeros((0, 2), np.int64)]
    step = max(1, _AT_ONCE // len(right))
    for start in range(0, len(left), step):
        part = left[start : start + step]
        bits = np.bitwise_count(words[part, None] ^ words[None, right]).sum(axis=-1)
        rows, columns = np.nonzero(bits <= MAX_BITS)
        found.append(np.stack([part[rows], right[columns]], axis=1))
    return np.concatenate(found)
