"""Targets of masked speech prediction (BEST-RQ, Chiu et al. 2022, section 3).

Frames are projected by a random matrix and encoded as the nearest entry of a random codebook;
neither is trained. Spans of a recording are replaced by noise, and the network predicts the codes
of the masked spans. Principal components may replace the random matrix, which mostly encodes
loudness (Yang et al. 2026), and several codebooks the single one (Baumann et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NOISE_DEVIATION = 0.1


@dataclass(frozen=True)
class Components:
    """The first principal components of steps, scaled to variance 1.

    Attributes:
        mean: mean of the steps, (inputs,).
        directions: (inputs, components).
    """

    mean: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]


def principal_components(steps: Iterable[np.ndarray], size: int) -> Components:
    """Learn ``size`` components of steps, given as arrays (some, inputs).

    The result has fewer if the steps vary in fewer dimensions.
    """
    count = 0
    sums: np.ndarray | float = 0.0
    products: np.ndarray | float = 0.0
    for some in steps:
        exact = some.astype(np.float64)
        count, sums = count + len(exact), sums + exact.sum(axis=0)
        products = products + exact.T @ exact
    mean = np.asarray(sums) / max(count, 1)
    variances, directions = np.linalg.eigh(products / max(count, 1) - np.outer(mean, mean))
    kept = [at for at in np.argsort(-variances)[:size] if variances[at] > 1e-9]
    scaled = directions[:, kept] / np.sqrt(variances[kept])
    return Components(tuple(mean.tolist()), tuple(map(tuple, scaled.tolist())))


@dataclass(frozen=True)
class Quantiser:
    """A projection and random codebooks, reproducible from the arguments.

    Attributes:
        dimensions: features per frame.
        frames_per_step: frames encoded together: those of one step of the network.
        codes: entries per codebook.
        code_size: size of an entry.
        codebooks: number of codebooks, each of which encodes every step.
        components: projection of the steps; None for a random matrix.
        seed: seed of the random values.
    """

    dimensions: int
    frames_per_step: int
    codes: int = 1024
    code_size: int = 16
    codebooks: int = 1
    components: Components | None = None
    seed: int = 0

    def codes_of(self, features: np.ndarray) -> np.ndarray:
        """Encode each step: (frames, d) to (ceil(frames / frames_per_step), codebooks) int32.

        Features should have mean 0 and variance 1; otherwise most codes remain unused.
        """
        mean, matrix = self._projection
        projected = (self.stacked(features) - mean) @ matrix  # (steps, code_size)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        projected = projected / np.maximum(length, 1e-12)
        # Both have unit length: the nearest entry has the largest dot product.
        products = projected @ self._codebooks.transpose(0, 2, 1)  # (codebooks, steps, codes)
        return products.argmax(axis=-1).T.astype(np.int32)

    def stacked(self, features: np.ndarray) -> np.ndarray:
        """Concatenate the frames (frames, d) of each step: (steps, frames_per_step * d)."""
        steps = -(-len(features) // self.frames_per_step)
        missing = steps * self.frames_per_step - len(features)
        padded = np.pad(features, ((0, missing), (0, 0)))
        return padded.reshape(steps, self.frames_per_step * self.dimensions)

    @cached_property
    def _projection(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean to subtract, (inputs,), and the projection matrix, (inputs, size)."""
        if self.components is None:
            matrix = self._random_projection()
            return np.zeros(len(matrix), np.float32), matrix
        mean, directions = self.components.mean, self.components.directions
        return np.array(mean, np.float32), np.array(directions, np.float32)

    def _random_projection(self) -> np.ndarray:
        """Xavier's uniform distribution (Glorot and Bengio 2010), (inputs, code_size)."""
        inputs = self.frames_per_step * self.dimensions
        limit = np.sqrt(6 / (inputs + self.code_size))
        rng = np.random.default_rng([self.seed, 0])
        return rng.uniform(-limit, limit, (inputs, self.code_size)).astype(np.float32)

    @cached_property
    def _codebooks(self) -> np.ndarray:
        """Directions drawn from a normal distribution, (codebooks, codes, size)."""
        rng = np.random.default_rng([self.seed, 1])
        size = self._projection[1].shape[1]
        drawn = rng.standard_normal((self.codebooks, self.codes, size)).astype(np.float32)
        return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def choose_steps(steps: int, *, share: float, span: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the masked steps: runs of ``span`` steps, which may overlap.

    Args:
        steps: steps of the recording; at least one of them is masked.
        share: approximate share of masked steps, from 0 to 1.

    Returns:
        (steps,) bool.
    """
    # A step is visible if none of the ``span`` starts that would cover it was drawn.
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
    """A copy of features (frames, d) with noise in the frames of masked steps."""
    frames = np.repeat(hidden, frames_per_step)[: len(features)]
    noise = NOISE_DEVIATION * rng.standard_normal(features.shape)
    return np.where(frames[:, None], noise, features).astype(np.float32)


def code_usage(codes: np.ndarray, count: int) -> dict[str, float]:
    """Codebook usage: the share of used entries, and their perplexity."""
    frequencies = np.bincount(codes, minlength=count) / max(1, len(codes))
    present = frequencies[frequencies > 0]
    entropy = float(-(present * np.log(present)).sum())
    return {"share": len(present) / count, "perplexity": float(np.exp(entropy))}
