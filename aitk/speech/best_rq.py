"""What masked speech prediction guesses (BEST-RQ, Chiu et al. 2022, section 3).

Frames are projected by a random matrix and named after the nearest entry of a random codebook;
neither is ever trained. Stretches of a sound are replaced by noise, and the network is to name the
codes of what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NOISE_DEVIATION = 0.1


@dataclass(frozen=True)
class Quantiser:
    """A random projection and codebook; equal arguments make equal ones.

    Attributes:
        dimensions: numbers a frame.
        frames_per_step: frames that become one code together: those of a step of the network.
        codes: entries of the codebook.
        code_size: numbers an entry.
        seed: of the drawing.
    """

    dimensions: int
    frames_per_step: int
    codes: int = 1024
    code_size: int = 16
    seed: int = 0

    def codes_of(self, features: np.ndarray) -> np.ndarray:
        """Name each step: (frames, d) to (ceil(frames / frames_per_step),) int32.

        The features should have mean 0 and variance 1, or most codes will stay unused.
        """
        stacked = self._stacked(features)  # (steps, frames_per_step * d)
        projected = stacked @ self._projection
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        projected = projected / np.maximum(length, 1e-12)
        # Both have length 1: the nearest entry is the one with the largest product.
        return (projected @ self._codebook.T).argmax(axis=1).astype(np.int32)

    def _stacked(self, features: np.ndarray) -> np.ndarray:
        steps = -(-len(features) // self.frames_per_step)
        missing = steps * self.frames_per_step - len(features)
        padded = np.pad(features, ((0, missing), (0, 0)))
        return padded.reshape(steps, self.frames_per_step * self.dimensions)

    @cached_property
    def _projection(self) -> np.ndarray:
        """Xavier's uniform distribution (Glorot and Bengio 2010), (inputs, code_size)."""
        inputs = self.frames_per_step * self.dimensions
        limit = np.sqrt(6 / (inputs + self.code_size))
        rng = np.random.default_rng([self.seed, 0])
        return rng.uniform(-limit, limit, (inputs, self.code_size)).astype(np.float32)

    @cached_property
    def _codebook(self) -> np.ndarray:
        """Directions drawn from a normal distribution, (codes, code_size)."""
        rng = np.random.default_rng([self.seed, 1])
        drawn = rng.standard_normal((self.codes, self.code_size)).astype(np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def choose_steps(steps: int, *, share: float, span: int, rng: np.random.Generator) -> np.ndarray:
    """Draw which steps are hidden: runs of ``span`` steps, which may overlap.

    Args:
        steps: of the sound; at least one of them is hidden.
        share: about how many of them, from 0 to 1.

    Returns:
        (steps,) bool.
    """
    # A step stays if none of the ``span`` starts that would cover it was drawn.
    start = 1 - (1 - share) ** (1 / span)
    starts = np.flatnonzero(rng.random(steps + span - 1) < start) - (span - 1)
    if not len(starts):
        starts = rng.integers(1 - span, steps, 1)
    hidden = np.zeros(steps, bool)
    for at in starts:
        hidden[max(0, at) : at + span] = True
    return hidden


def hide_frames(
    features: np.ndarray, hidden: np.ndarray, *, frames_per_step: int, rng: np.random.Generator
) -> np.ndarray:
    """A copy of features (frames, d) with the frames of hidden steps replaced by noise."""
    frames = np.repeat(hidden, frames_per_step)[: len(features)]
    noise = NOISE_DEVIATION * rng.standard_normal(features.shape)
    return np.where(frames[:, None], noise, features).astype(np.float32)


def code_usage(codes: np.ndarray, count: int) -> dict[str, float]:
    """How well a codebook is used: the share of its entries, and their perplexity."""
    frequencies = np.bincount(codes, minlength=count) / max(1, len(codes))
    present = frequencies[frequencies > 0]
    entropy = float(-(present * np.log(present)).sum())
    return {"share": len(present) / count, "perplexity": float(np.exp(entropy))}
