"""Training data of a closed-form model: the training events as one sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aitk.recsys.features.assets import LogAssets
from aitk.recsys.features.learning import in_blocks


@dataclass(frozen=True)
class TrainingLog:
    """The training events and item features.

    Attributes:
        events: scipy CSR array (users, items) float32: ratings, or 1.0.
        times: (events,) unix seconds in the order of ``events.data``, for models that need them.
        features: name -> (items, size), dense or sparse; zero rows are missing values.
        seed: seed for models with random choices.
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


def training_log(
    rows: Sequence[Mapping[str, Any]],
    assets: LogAssets,
    *,
    features: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> TrainingLog:
    """The events of the training rows, with users in row order.

    Args:
        features: features of the items, as in ``TrainingLog``.
    """
    from scipy.sparse import csr_array

    columns: dict[str, list[np.ndarray]] = {"items": [], "ratings": [], "times": []}
    for row in in_blocks(rows):
        for name, parts in columns.items():
            parts.append(np.asarray(row[name]))
    lengths = [len(part) for part in columns["items"]]
    items, ratings, times = (np.concatenate([[], *parts]) for parts in columns.values())
    starts = np.concatenate([[0], np.cumsum(lengths)])
    values = ratings if assets.rated else np.ones(len(items))
    events = csr_array(
        (values.astype(np.float32), items.astype(np.int32), starts),
        shape=(len(lengths), len(assets.items)),
    )
    return TrainingLog(events, times=times.astype(np.int64), features=features or {}, seed=seed)
