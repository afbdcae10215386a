"""Continues an LSTM layer from given states."""

from __future__ import annotations

import keras
from keras import ops

from aitk.core.layers import Tensor


def run_lstm(
    layer: keras.layers.LSTM, x: Tensor, states: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Read (rows, new, features) from ``states``, [output, cell] of (rows, units) each.

    One new token needs no loop, so that converters see a plain cell.

    Returns:
        (rows, new, units), and the states after it.
    """
    if x.shape[1] != 1:
        x, *states = layer(x, initial_state=states)
        return x, states
    output, states = layer.cell(x[:, 0], states, training=False)
    return ops.expand_dims(output, 1), states
