"""Size and features of the catalogue, as needed to build a neural recommender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ItemShape:
    """The catalogue and the users of the training log.

    Attributes:
        items: number of items; their numbers in model inputs start at 1.
        users: number of users; likewise.
        counts: (items,) training events of each item.
        features: name -> (items, width) float32; zero rows are missing values.
    """

    items: int
    users: int
    counts: np.ndarray
    features: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def widths(self) -> dict[str, int]:
        """The width of each feature."""
        return {name: matrix.shape[1] for name, matrix in self.features.items()}

    def with_features(self, chosen: str) -> ItemShape:
        """The catalogue with the features named in a setting: ``auto``, ``none`` or names.

        Raises:
            UsageError: a name is not a feature.
        """
        from aitk.core.contract.options import unknown_name

        if chosen == "auto":
            return self
        names = [] if chosen == "none" else [name.strip() for name in chosen.split(",")]
        # An image or audio attribute is represented by its vector.
        known = {name.removesuffix("_vector"): name for name in self.features}
        names = [known.get(name, name) for name in names]
        for name in names:
            if name not in self.features:
                raise unknown_name(name, ["auto", "none", *self.features], what="feature")
        features = {name: self.features[name] for name in names}
        return ItemShape(self.items, self.users, self.counts, features)
