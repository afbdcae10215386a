"""Adapts pretrained weights to a log, matching items by id."""

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
    """The source with the ids of its items, which match its vectors.

    Raises:
        ArtifactError: it is not a recommender.
    """
    if found.kind == "run":
        return dataclasses.replace(found, tokenizer=load_log_assets(found.folder).items)
    if found.kind in ("hub", "hugging-face"):
        raise ArtifactError("is not a recommender", where=found.source, hint="Name a run")
    missing = ("item ids", "none next to the file, so items are matched by number")
    return dataclasses.replace(found, skipped=(*found.skipped, missing))


def take_over(found: Pretrained, model: keras.Model, assets: LogAssets) -> Pretrained:
    """Copy the source's weights into a new model for the items that both have.

    Args:
        assets: assets of the model; ``renumbered`` maps its items to those of the source.

    Returns:
        The source with the loaded weights, and the reasons for those not loaded.

    Raises:
        ArtifactError: the vectors differ in size, or items can only be matched by number and their
            numbers differ.
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
    skipped = [(name, "another shape, or missing") for name in left]
    if missing := int((from_old < 0).sum()):
        what = f"vectors of {missing:,} of {len(from_old):,} items"
        skipped.append((what, "items missing from the source"))
    loaded = tuple(name for name in found.loaded if name not in left)
    return dataclasses.replace(found, loaded=loaded, skipped=(*found.skipped, *skipped))


def _check_shapes(
    known: Sequence[int], wanted: Sequence[int], source: str, *, matched: bool
) -> None:
    if tuple(known[1:]) != tuple(wanted[1:]):
        raise ArtifactError(
            f"its item vectors have size {known[-1]} instead of {wanted[-1]}",
            where=source,
            hint="Omit the setting of the size",
        )
    if not matched and known[0] != wanted[0]:
        raise ArtifactError(
            "was trained on a catalogue of another size, and has no item ids next to it",
            where=source,
            hint="Give the folder of the run",
        )
