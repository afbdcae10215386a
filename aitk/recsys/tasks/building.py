"""From assets to a model: what it is told of the catalogue and of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.recsys.features.assets import LogAssets
from aitk.recsys.features.item_features import NONE, item_features, reduced
from aitk.recsys.features.learning import in_blocks, renumber
from aitk.recsys.tasks.settings import Solved

if TYPE_CHECKING:
    import keras

    from aitk.recsys.fits.log import TrainingLog
    from aitk.recsys.models.layers.shape import ItemShape


def solve_model(
    settings: Any,
    assets: LogAssets,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int,
) -> keras.Model | None:
    """The model computed from the training rows; None for one that is trained."""
    if not isinstance(settings, Solved):
        return None
    from aitk.recsys.models.closed_form.table import solve

    return solve(settings, training_log(settings, assets, rows, seed=seed))


def build_model(settings: Any, assets: LogAssets) -> keras.Model:
    """The model to be trained."""
    from aitk.recsys.models.built import build

    return build(settings, item_shape(settings, assets), ratings=_ratings(assets))


def grow_model(model: keras.Model, settings: Any, *, old: LogAssets, new: LogAssets) -> keras.Model:
    """The same model for more items and users, knowing what it knew."""
    from aitk.recsys.models.built import build
    from aitk.recsys.models.layers.shape import ItemShape
    from aitk.recsys.models.layers.state_transfer import carry_over, features_of

    # Nothing is known of new items but their ids; what is known of the others stays as it was.
    added = len(new.items) - len(old.items)
    features = {
        name: np.pad(matrix, ((0, added), (0, 0))) for name, matrix in features_of(model).items()
    }
    shape = ItemShape(len(new.items), len(new.users), new.counts, features)
    grown = build(settings, shape, ratings=_ratings(new))
    carry_over(
        model,
        grown,
        items_from_old=renumber(old.items, new.items),
        users_from_old=renumber(old.users, new.users),
    )
    return grown


def training_log(
    settings: Any,
    assets: LogAssets,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int,
) -> TrainingLog:
    """All training events as one sparse matrix, users in the order of the rows."""
    from scipy.sparse import csr_array

    from aitk.recsys.fits.log import TrainingLog

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
    return TrainingLog(
        events,
        times=times.astype(np.int64),
        features=_features(settings, assets),
        seed=seed,
    )


def item_shape(settings: Any, assets: LogAssets) -> ItemShape:
    """What a network is told of the catalogue; features as dense matrices."""
    from aitk.recsys.models.layers.shape import ItemShape

    return ItemShape(
        items=len(assets.items),
        users=len(assets.users),
        counts=assets.counts,
        features=reduced(_features(settings, assets)),
    )


def _features(settings: Any, assets: LogAssets) -> dict[str, Any]:
    wanted = getattr(settings, "features", NONE)
    return item_features(assets.attributes, assets.kinds, wanted=wanted)


def _ratings(assets: LogAssets) -> Any:
    """How ratings are spread, where they are what is learned."""
    from aitk.recsys.models.layers.candidates import Ratings

    if not assets.rated:
        return None
    users, items = assets.rating_biases or (None, None)
    return Ratings(assets.rating_mean, assets.rating_deviation, users, items)
