"""Keras layers that several domains use, and the types that layers are annotated with."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A tensor of whichever backend runs, symbolic while a model is built: these share no base class.
Tensor: TypeAlias = Any
#: The shape that ``build`` and ``compute_output_shape`` are given: sizes, or None for any.
Shape: TypeAlias = tuple[Any, ...]
