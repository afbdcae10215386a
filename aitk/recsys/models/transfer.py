"""Fitting pretrained weights to a log: item by item, by the ids of the items."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.recsys.features.assets import LogAssets, load_log_assets

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


def adopt(found: Pretrained) -> Pretrained:
    """The same source with the ids of its items, by which vectors are matched.

    Raises:
        ArtifactError: it holds no recommender.
    """
    if found.kind == "run":
        return dataclasses.replace(found, tokenizer=load_log_assets(found.folder).items)
    if found.kind in ("hub", "hugging-face"):
        raise ArtifactError("holds no recommender", where=found.source, hint="Name a run")
    missing = ("item ids", "none beside the file, so items are matched by their numbers")
    return dataclasses.replace(found, skipped=(*found.skipped, missing))


def take_over(found: Pretrained, model: keras.Model, assets: LogAssets) -> Pretrained:
    """Give a newly built model what the source has learned of the items that both know.

    Args:
        assets: of the model; ``renumbered`` says which item is which of the source's.

    Returns:
        The source with what was loaded, and what was not and why.

    Raises:
        ArtifactError: the vectors have another length, or the items can only be matched by their
            numbers and there are more or fewer.
    """
    if found.backbone is None:
        return found.fill(model)
    from aitk.recsys.models.layers.state_transfer import ITEM_ROWS, carry_over

    backbone = model.get_layer("backbone")
    from_old = assets.renumbered
    known, wanted = (
        {weight.path: weight.shape for weight in each.weights if weight.name in ITEM_ROWS}
        for each in (found.backbone, backbone)
    )
    for path in known.keys() & wanted.keys():
        _check_shapes(known[path], wanted[path], found.source, matched=from_old is not None)
    if from_old is None:
        from_old = np.arange(len(assets.items))
    left = carry_over(found.backbone, backbone, items_from_old=from_old)
    skipped = [(name, "another shape, or not there") for name in left]
    if missing := int((from_old < 0).sum()):
        what = f"vectors of {missing:,} of {len(from_old):,} items"
        skipped.append((what, "items that the source does not know"))
    loaded = tuple(name for name in found.loaded if name not in left)
    return dataclasses.replace(found, loaded=loaded, skipped=(*found.skipped, *skipped))


def _check_shapes(
    known: Sequence[int], wanted: Sequence[int], source: str, *, matched: bool
) -> None:
    if tuple(known[1:]) != tuple(wanted[1:]):
        raise ArtifactError(
            f"its items are vectors of {known[-1]} numbers, and {wanted[-1]} are asked for",
            where=source,
            hint="Leave out the setting that says so",
        )
    if not matched and known[0] != wanted[0]:
        raise ArtifactError(
            "was trained on a catalogue of another size, and no item ids are beside it",
            where=source,
            hint="Name the run's folder",
        )
