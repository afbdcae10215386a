"""What a model is computed from: the training events as one sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TrainingLog:
    """The training events, and what is known beside them.

    Attributes:
        events: scipy CSR array (users, items) float32: ratings, or 1.0.
        times: (events,) unix seconds in the order of ``events.data``, where a model asks for
            them.
        features: name -> (items, size), dense or sparse; an all-zero row is a missing one.
        seed: of models that draw something.
    """

    events: Any
    times: np.ndarray | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def users(self) -> int:
        return self.events.shape[0]

    @property
    def items(self) -> int:
        return self.events.shape[1]
