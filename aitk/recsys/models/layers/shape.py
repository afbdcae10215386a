"""What a neural recommender must know of the catalogue before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ItemShape:
    """The catalogue and the users of the training log.

    Attributes:
        items: how many there are; their numbers in a model's inputs start at 1.
        users: how many there are; likewise.
        counts: (items,) training events of each item.
        features: name -> (items, width) float32; a row that is all zero is missing.
    """

    items: int
    users: int
    counts: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def widths(self) -> dict[str, int]:
        """Numbers in a row of each feature."""
        return {name: matrix.shape[1] for name, matrix in self.features.items()}

    def with_features(self, chosen: str) -> ItemShape:
        """The same catalogue with the features a setting names: ``auto``, ``none`` or names.

        Raises:
            UsageError: a name is not among the features.
        """
        from aitk.core.contract.options import unknown_name

        if chosen == "auto":
            return self
        names = [] if chosen == "none" else [name.strip() for name in chosen.split(",")]
        # A picture or a sound is known by the vector that was made of it.
        known = {name.removesuffix("_vector"): name for name in self.features}
        names = [known.get(name, name) for name in names]
        for name in names:
            if name not in self.features:
                raise unknown_name(name, ["auto", "none", *self.features], what="feature")
        features = {name: self.features[name] for name in names}
        return ItemShape(self.items, self.users, self.counts, features)
