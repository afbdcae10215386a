"""Masks as run lengths, as COCO stores them (column by column, zeros first).

``counts`` is a list of numbers, or a string of packed numbers: 5 bits per character, low bits
first, each from the third on as the difference from the one two places before (pycocotools,
maskApi.c, rleToString).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError

#: Bits of the seventh and last character of a number.
_LAST_SHIFT = 30


def decode_runs(coded: Mapping[str, Any], *, height: int, width: int) -> np.ndarray:
    """Decode ``{"size": [height, width], "counts": ...}``.

    Returns:
        (height, width) bool.

    Raises:
        DataError: the value is not a mask, or its size differs.
    """
    if coded.get("size") not in ([height, width], (height, width)):
        raise DataError(f"has a mask of size {coded.get('size')} instead of {height} x {width}")
    counts = coded.get("counts")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    runs = _unpack(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, Sequence) or not all(isinstance(run, int) for run in runs):
        raise DataError("has a mask whose run lengths are not numbers")
    if any(not 0 <= run <= height * width for run in runs) or sum(runs) != height * width:
        raise DataError("has a mask whose run lengths do not fill the image")
    values = np.zeros(len(runs), bool)
    values[1::2] = True
    return np.repeat(values, runs).reshape(width, height).T


def encode_runs(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask as COCO's ``{"size": [height, width], "counts": str}``.

    Args:
        mask: (height, width); nonzero pixels belong to it.
    """
    flat = np.asarray(mask).astype(bool).T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    return {"size": list(mask.shape), "counts": _pack(runs)}


def _unpack(text: str) -> list[int]:
    runs: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            if place == len(text):
                raise DataError("has a mask whose run lengths are truncated")
            bits = ord(text[place]) - 48
            if not 0 <= bits < 64:
                raise DataError("has a mask whose run lengths contain an invalid character")
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            if more and shift == _LAST_SHIFT:
                raise DataError("has a mask with a run length of over 35 bits")
            place, shift = place + 1, shift + 5
            if not more and bits & 0x10:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _pack(runs: Sequence[int]) -> str:
    text: list[str] = []
    for at, run in enumerate(runs):
        value = run - runs[at - 2] if at > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(text)
