"""Keras layers used by several domains, and type annotations for layers."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A tensor of the active backend, symbolic while a model is built: they share no base class.
Tensor: TypeAlias = Any
#: The shape passed to ``build`` and ``compute_output_shape``: sizes, or None for any.
Shape: TypeAlias = tuple[Any, ...]
