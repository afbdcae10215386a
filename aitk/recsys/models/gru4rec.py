"""GRU4Rec: a gated recurrent network over the history (Hidasi et al. 2016)."""

from __future__ import annotations

from typing import Any

import keras

from aitk.recsys.models.layers.sequence import SequenceModel, build_sequence_model
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import Gru4RecSettings


def build_gru4rec(settings: Gru4RecSettings, shape: ItemShape) -> SequenceModel:
    """History (batch, length) -> scores of the next item (batch, items); see ``SequenceModel``."""

    def encode(x: Any, history: Any) -> Any:
        mask = keras.ops.not_equal(history, 0)  # padding leaves the state unchanged
        for index in range(settings.layers):
            x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
            cell = keras.layers.GRU(settings.hidden, return_sequences=True, name=f"cell_{index}")
            x = cell(x, mask=mask)
        x = keras.layers.Dropout(settings.dropout, name="final_dropout")(x)
        return keras.layers.Dense(settings.hidden, name="final_dense")(x)

    return build_sequence_model(settings, shape, encode)
