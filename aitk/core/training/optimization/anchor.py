"""Weights held near where they were, so that new rows do not undo what old ones taught.

``L2-SP`` (Li et al. 2018, "Explicit Inductive Bias for Transfer Learning") draws every weight back
alike. Elastic weight consolidation (Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in
neural networks") draws each back by how much the old rows depend on it: the diagonal of the Fisher
information. Here that is the mean of squared gradients of the old rows' loss, scaled to a mean of
1, so that one strength means the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.task import Assets, Task
from aitk.core.runtime import interrupts
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    import keras

#: Old rows whose gradients tell which weights matter.
FISHER_ROWS = 200


class Anchor:
    """Where the weights of a model are now, and how strongly they are drawn back there.

    The penalty is ``strength / 2 * sum(importance * (weight - start) ** 2)``.

    Args:
        importance: ``id`` of the Keras variable -> an array of its shape; 1 where it has none.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        strength: float,
        importance: Mapping[int, np.ndarray] | None = None,
    ):
        self.strength = strength
        self.starts = {id(each): np.array(each) for each in model.trainable_variables}
        self.importance = dict(importance or {})

    def applied_to(self, kind: type[Any]) -> type[Any]:
        """An update rule whose gradients have that of the penalty added to them.

        Args:
            kind: a class of Keras optimizers.
        """
        import keras

        anchor = self

        class Anchored(kind):
            def build(self, variables: list[keras.Variable]) -> None:
                # Told by place, since backends hand their own variables to ``update_step``.
                self._pulls = [anchor._pull(variable) for variable in variables]
                super().build(variables)

            def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
                pull = self._pulls[self._get_variable_index(variable)]
                if pull is not None:
                    start, force = pull
                    apart = keras.ops.subtract(variable, keras.ops.cast(start, variable.dtype))
                    added = keras.ops.multiply(apart, keras.ops.cast(force, variable.dtype))
                    gradient = keras.ops.add(keras.ops.convert_to_tensor(gradient), added)
                super().update_step(gradient, variable, learning_rate)

        return Anchored

    def _pull(self, variable: keras.Variable) -> tuple[np.ndarray, Any] | None:
        """The start of a variable, and the force on each of its weights."""
        start = self.starts.get(id(variable))
        if start is None:
            return None
        force = self.importance.get(id(variable))
        return start, self.strength if force is None else self.strength * force


def fisher_information(
    model: keras.Model, task: Task, assets: Assets, *, rows: Examples, loss: Any
) -> dict[int, np.ndarray]:
    """Mean squared gradient of each weight over rows, one at a time, divided by the mean of all.

    This is the empirical Fisher information, of the rows' own labels. Dropout is off; batch
    normalisation uses its running statistics, and its weights get no importance.

    Args:
        loss: a Keras loss, or a dict of them by output.

    Returns:
        ``id`` of the Keras variable -> an array of its shape.
    """
    import keras

    class Squares(keras.optimizers.Optimizer):
        """Adds up squared gradients, and changes no weight."""

        def build(self, variables: list[keras.Variable]) -> None:
            super().build(variables)
            self.sums = self.add_optimizer_variables(variables, "squares")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            square = keras.ops.square(keras.ops.convert_to_tensor(gradient))
            self.assign_add(self.sums[self._get_variable_index(variable)], square)

    with _Still(model):
        optimizer = Squares(learning_rate=0.0)
        model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
        for index in range(len(rows)):
            interrupts.check()
            batch = task.collate(rows[index : index + 1], assets)
            model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights)
        model.get_weights()  # on JAX, this brings the variables up to date
        found = {
            id(variable): np.asarray(total) / max(1, len(rows))
            for variable, total in zip(model.trainable_variables, optimizer.sums, strict=True)
        }
    mean = sum(array.sum() for array in found.values()) / sum(a.size for a in found.values())
    return {name: (array / mean if mean else array) for name, array in found.items()}


class _Still:
    """Layers that are random, or learn from what passes through them, do neither meanwhile."""

    def __init__(self, model: keras.Model):
        self.model = model
        self._rates: list[tuple[Any, float]] = []
        self._frozen: list[Any] = []

    def __enter__(self) -> None:
        import keras

        for layer in self.model._flatten_layers():
            is_dropout = "ropout" in type(layer).__name__
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
                layer.trainable = False
                self._frozen.append(layer)
            elif is_dropout and isinstance(getattr(layer, "rate", None), float):
                self._rates.append((layer, layer.rate))
                layer.rate = 0.0

    def __exit__(self, *error: object) -> None:
        for layer, rate in self._rates:
            layer.rate = rate
        for layer in self._frozen:
            layer.trainable = True
