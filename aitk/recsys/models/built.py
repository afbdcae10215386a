"""Every trained model by its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from aitk.recsys.models.bert4rec import build_bert4rec
from aitk.recsys.models.biased_mf import build_biased_mf
from aitk.recsys.models.bpr import build_bpr
from aitk.recsys.models.dcn import build_dcn
from aitk.recsys.models.dlrm import build_dlrm
from aitk.recsys.models.gru4rec import build_gru4rec
from aitk.recsys.models.layers.candidates import Ratings
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.neumf import build_neumf
from aitk.recsys.models.sasrec import build_sasrec
from aitk.recsys.models.two_tower import build_two_tower
from aitk.recsys.tasks import settings as of

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


def build(settings: of.Trained, shape: ItemShape, *, ratings: Ratings | None = None) -> keras.Model:
    """Build the model that the settings belong to.

    Args:
        ratings: how ratings are spread, for a model that is to rate.
    """
    more: dict[str, Any] = {} if ratings is None else {"ratings": ratings}
    return BUILDERS[type(settings)](settings, shape, **more)
