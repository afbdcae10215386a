"""Mean and variance of features: of one recording, a speaker or a whole corpus."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A feature that hardly varies (a band above what the microphone recorded) is not blown up.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True)
class Moments:
    """What the mean and the variance of features are computed from. Moments can be added.

    Attributes:
        frames: how many were seen.
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
        """(d,), never below ``LEAST_VARIANCE``."""
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
    """What ``Moments.as_json`` made."""
    return Moments(int(value["frames"]), np.array(value["sums"]), np.array(value["squares"]))


def total(moments: Iterable[Moments]) -> Moments:
    """The moments of everything together; there must be at least one."""
    return functools.reduce(Moments.__add__, moments)


def normalised(features: np.ndarray, moments: Moments) -> np.ndarray:
    """Features (frames, d) with the mean and the variance of ``moments`` taken out, float32."""
    scale = 1 / np.sqrt(moments.variance)
    return ((features - moments.mean) * scale).astype(np.float32)
