"""Weights averaged over the steps: the moving average, and that of schedule-free training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def use_moving_average(model: keras.Model) -> None:
    """Replace the weights by their moving average (Polyak and Juditsky 1992).

    The next epoch continues from it, as after Keras' fit; for an epoch interrupted after its last
    step, this is the first time.
    """
    weights = model.trainable_variables
    model.optimizer.finalize_variable_values(weights)
    for weight in weights:  # on JAX, both would share memory that a step donates
        weight.assign(np.array(weight))


@contextlib.contextmanager
def schedule_free_average(model: keras.Model) -> Iterator[None]:
    """Evaluate with the average of the weights; training continues from the previous ones.

    The previous weights return after an interruption, too.
    """
    variables = model.trainable_variables
    trained = [np.array(variable) for variable in variables]
    averages = model.optimizer.averages(variables)
    for variable, value in zip(variables, averages, strict=True):
        variable.assign(value)
    try:
        yield
    finally:
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)
