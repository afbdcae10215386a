"""Fitting pretrained weights to a log: the catalogue that their item vectors belong to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aitk.core.errors import ArtifactError
from aitk.recsys.assets import load_log_assets

if TYPE_CHECKING:
    from aitk.core.pretrained import Pretrained


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
