"""Every trained model by its settings, and what old weights give a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from aitk.recsys import settings as of
from aitk.recsys.models.bert4rec import build_bert4rec
from aitk.recsys.models.biased_mf import build_biased_mf
from aitk.recsys.models.bpr import build_bpr
from aitk.recsys.models.candidates import Ratings
from aitk.recsys.models.carry_over import carry_over
from aitk.recsys.models.dcn import build_dcn
from aitk.recsys.models.dlrm import build_dlrm
from aitk.recsys.models.gru4rec import build_gru4rec
from aitk.recsys.models.neumf import build_neumf
from aitk.recsys.models.sasrec import build_sasrec
from aitk.recsys.models.shape import ItemShape
from aitk.recsys.models.two_tower import build_two_tower

#: Class of settings -> what builds the model.
BUILDERS: Mapping[type[of.Trained], Callable[..., keras.Model]] = {
    of.BprSettings: build_bpr,
    of.BiasedMfSettings: build_biased_mf,
    of.TwoTowerSettings: build_two_tower,
    of.NeuMfSettings: build_neumf,
    of.DcnSettings: build_dcn,
    of.DlrmSettings: build_dlrm,
    of.Gru4RecSettings: build_gru4rec,
    of.SasRecSettings: build_sasrec,
    of.Bert4RecSettings: build_bert4rec,
}


def build(
    settings: of.Trained,
    shape: ItemShape,
    *,
    ratings: Ratings | None = None,
    backbone: keras.Model | None = None,
    items_from_old: np.ndarray | None = None,
) -> keras.Model:
    """Build the model that the settings belong to.

    Args:
        ratings: how ratings are spread, for a model that is to rate.
        backbone: what another catalogue's model has learned, carried over.
        items_from_old: (items,) numbers in that catalogue from 0, -1 for a new item; by default
            both catalogues are the same.
    """
    more: dict[str, Any] = {} if ratings is None else {"ratings": ratings}
    model = BUILDERS[type(settings)](settings, shape, **more)
    if backbone is not None:
        if items_from_old is None:
            items_from_old = np.arange(shape.items)
        carry_over(backbone, model.get_layer("backbone"), items_from_old=items_from_old)
    return model
