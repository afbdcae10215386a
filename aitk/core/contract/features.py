"""Storage schemas of texts, labels and lists of numbers, described without an import of TensorFlow
Datasets; the names are its own.

``Task.features`` may give these or features of TensorFlow Datasets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Text:
    """A text."""


@dataclass(frozen=True)
class ClassLabel:
    """A label, stored as its number among the names."""

    names: Sequence[str]


@dataclass(frozen=True)
class Tensor:
    """A list of numbers of any length."""

    np_dtype: Any
    shape: tuple[None] = (None,)


def as_tfds(feature: Any) -> Any:
    """The same as a feature of TensorFlow Datasets, or unchanged."""
    import tensorflow_datasets as tfds

    if isinstance(feature, Text):
        return tfds.features.Text()
    if isinstance(feature, ClassLabel):
        return tfds.features.ClassLabel(names=list(feature.names))
    if isinstance(feature, Tensor):
        return tfds.features.Tensor(shape=feature.shape, dtype=feature.np_dtype)
    return feature
