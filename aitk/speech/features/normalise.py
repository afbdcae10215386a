"""Mean and variance of features per recording, speaker or corpus."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Limits the amplification of a nearly constant feature, such as a band above the recorded range.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True)
class Moments:
    """Additive statistics for the mean and variance of features.

    Attributes:
        frames: number of frames.
        sums: (d,) float64.
        squares: (d,) float64, sums of squares.
    """

    frames: int
    sums: np.ndarray
    squares: np.ndarray

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.frames + other.frames, self.sums + other.sums, self.squares + other.squares
        )

    @property
    def mean(self) -> np.ndarray:
        """(d,)"""
        return self.sums / max(self.frames, 1)

    @property
    def variance(self) -> np.ndarray:
        """(d,), at least ``LEAST_VARIANCE``."""
        return np.maximum(self.squares / max(self.frames, 1) - self.mean**2, LEAST_VARIANCE)

    def as_json(self) -> dict[str, Any]:
        """JSON values; ``moments_from`` reads them back."""
        return {
            "frames": self.frames,
            "sums": self.sums.tolist(),
            "squares": self.squares.tolist(),
        }


def moments_of(features: np.ndarray) -> Moments:
    """The moments of features (frames, d)."""
    exact = features.astype(np.float64)
    return Moments(len(exact), exact.sum(axis=0), np.einsum("fd,fd->d", exact, exact))


def moments_from(value: dict[str, Any]) -> Moments:
    """Restore the result of ``Moments.as_json``."""
    return Moments(int(value["frames"]), np.array(value["sums"]), np.array(value["squares"]))


def total(moments: Iterable[Moments]) -> Moments:
    """The sum of moments; there must be at least one."""
    return functools.reduce(Moments.__add__, moments)


def normalised(features: np.ndarray, moments: Moments) -> np.ndarray:
    """Normalise features (frames, d) by the mean and variance of ``moments``, float32."""
    scale = 1 / np.sqrt(moments.variance)
    return ((features - moments.mean) * scale).astype(np.float32)
