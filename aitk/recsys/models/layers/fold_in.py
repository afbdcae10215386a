"""Fold-in: vectors of unknown users, from their histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def conjugate_gradient(apply: Callable[[Any], Any], right: Any, *, steps: int) -> Any:
    """Solve ``apply(x) = right`` for a symmetric positive definite map (Hestenes, Stiefel 1952).

    Args:
        apply: (batch, size) -> (batch, size).
        right: (batch, size) float32; zero rows give zeros.
        steps: ``size`` steps are exact up to rounding.

    Returns:
        (batch, size). Uses only products and sums, which every runtime supports.
    """
    x, rest, way = ops.zeros_like(right), right, right
    error = ops.sum(rest * rest, axis=-1, keepdims=True)
    for _ in range(steps):
        image = apply(way)
        length = error / (ops.sum(way * image, axis=-1, keepdims=True) + _TINY)
        x = x + length * way
        rest = rest - length * image
        next_error = ops.sum(rest * rest, axis=-1, keepdims=True)
        way = rest + next_error / (error + _TINY) * way
        error = next_error
    return x


def products(vectors: Any, x: Any) -> Any:
    """Dot products per row: (batch, length, size), (batch, size) -> (batch, length)."""
    return ops.matmul(vectors, ops.expand_dims(x, 2))[:, :, 0]


def combined(vectors: Any, weights: Any) -> Any:
    """The weighted sum: (batch, length, size), (batch, length) -> (batch, size)."""
    return ops.matmul(ops.expand_dims(weights, 1), vectors)[:, 0]


_TINY = 1e-20
