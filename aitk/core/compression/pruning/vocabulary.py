"""An embedding with some of its rows alone, for a vocabulary without some of its units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aitk.core.compression.pruning.rebuilding import changed, layers_of, opened, rebuild
from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import keras


def without_rows(model: keras.Model, kept: np.ndarray, *, count: int) -> keras.Model:
    """The same network whose embedding of a vocabulary has some of its rows alone.

    Args:
        kept: numbers of the rows that stay.
        count: rows that the embedding has.

    Raises:
        UsageError: no embedding has so many rows, or several.
    """
    import keras

    model = opened(model)
    tables = [
        layer
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.Embedding) and layer.input_dim == count
    ]
    if len(tables) != 1:
        raise UsageError(
            f"{len(tables) or 'no'} embeddings of this model have the {count:,} rows of the"
            " vocabulary",
            where="--prune-vocabulary",
        )
    table = tables[0]
    rows = {table.embeddings.path: table.embeddings.numpy()[kept]}
    replaced = {id(table): lambda layer: changed(layer, input_dim=len(kept))}
    return rebuild(model, replaced, {}, {id(table): rows})
