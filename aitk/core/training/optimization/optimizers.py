"""Optimizers by name: AdamW, Adam, SGD, Muon, schedule-free AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.model_spec import BACKBONE
from aitk.core.training.optimization.anchor import Anchor
from aitk.core.training.optimization.fused_step import with_fused_step
from aitk.core.training.optimization.layer_rates import rate_factors, with_rate_factors

if TYPE_CHECKING:
    import keras

SCHEDULE_FREE = "schedule-free"
#: Output layers, whose matrices Muon leaves to AdamW, like embeddings.
OUTPUT_LAYERS = r"(^|/)head(_|/|$)"


def make_optimizer(
    options: Any, backbone: keras.Model, *, anchor: Anchor | None = None
) -> keras.optimizers.Optimizer:
    """The optimizer of ``TrainingOptions``, including clipping, accumulation and weight averaging.

    Args:
        backbone: its layers get lower learning rates with ``layer_decay``.
        anchor: penalises the distance of the weights from their values at the start.
    """
    import keras

    def rule(kind: type[Any]) -> type[Any]:
        if anchor is not None:
            kind = anchor.applied_to(kind)
        if options.layer_decay is None:
            return kind
        return with_rate_factors(kind, rate_factors(backbone, decay=options.layer_decay))

    # A private training clips each row, and gathers the rows of a step, by itself.
    private = options.private
    shared = {
        "learning_rate": options.learning_rate,
        "global_clipnorm": None if private else options.clip_norm,
        "gradient_accumulation_steps": options.accumulate if options.accumulate > 1 else None,
        "use_ema": options.ema is not None,
        "ema_momentum": options.ema or 0.99,
    }
    if options.optimizer in ("adamw", "muon", SCHEDULE_FREE):
        made: dict[str, tuple[type[Any], dict[str, Any]]] = {
            # Loshchilov and Hutter 2019.
            "adamw": (with_fused_step(keras.optimizers.AdamW), {}),
            # Jordan et al. 2024; scaled to the rates of AdamW as in Liu et al. 2025, section 2.2.
            "muon": (
                keras.optimizers.Muon,
                {"exclude_layers": [OUTPUT_LAYERS], "adam_weight_decay": options.weight_decay},
            ),
            SCHEDULE_FREE: (schedule_free(), {}),
        }
        kind, own = made[options.optimizer]
        optimizer = rule(kind)(weight_decay=options.weight_decay, **own, **shared)
        # Norms and biases are not decayed, as in BERT.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    if options.optimizer == "adam":
        return rule(with_fused_step(keras.optimizers.Adam))(**shared)
    return rule(keras.optimizers.SGD)(momentum=0.9, nesterov=True, **shared)


def compile_model(
    model: keras.Model, options: Any, *, loss: Any, anchor: Anchor | None, frozen: bool
) -> None:
    """Compile with a new optimizer, whose slots are made at once.

    Args:
        options: ``TrainingOptions``.
        loss: a Keras loss, or a dict of losses by output.
        frozen: whether the backbone is kept as it is; with ``freeze_epochs`` only.
    """
    import keras

    backbone = model.get_layer(BACKBONE)
    if options.freeze_epochs:
        backbone.trainable = not frozen
    optimizer = make_optimizer(options, backbone, anchor=anchor)
    # XLA recompiles for every batch length, which costs more than it saves here.
    compiled = keras.backend.backend() == "jax"
    model.compile(optimizer=optimizer, loss=loss, jit_compile=compiled)
    model.optimizer.build(model.trainable_variables)


def schedule_free() -> type[Any]:
    """Schedule-free AdamW (Defazio et al. 2024, "The Road Less Scheduled", algorithm 1).

    Training computes gradients at y, between the fast weights z and their average x, where a step
    has the weight of its squared learning rate; the model to use is x. The step is reimplemented:
    that of Keras 3.15 reads z after changing it, and decays only y.
    """
    import keras
    from keras import ops

    class ScheduleFree(keras.optimizers.ScheduleFreeAdamW):
        def build(self, variables: list[keras.Variable]) -> None:
            if not self.built:
                super().build(variables)
                self._rates = self.add_variable(shape=(), initializer="zeros", name="rates")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            fast, squares = self._momentums[index], self._velocities[index]
            rate = ops.cast(learning_rate, variable.dtype)
            gradient = ops.cast(gradient, variable.dtype)
            y, z = ops.convert_to_tensor(variable), ops.convert_to_tensor(fast)
            x = (y - (1 - self.beta_1) * z) / self.beta_1
            self.assign_add(squares, (ops.square(gradient) - squares) * (1 - self.beta_2))
            correction = 1 - ops.power(self.beta_2, ops.cast(self.iterations + 1, variable.dtype))
            move = gradient / (ops.sqrt(squares / correction) + self.epsilon)
            if self.weight_decay and self._use_weight_decay(variable):
                move = move + self.weight_decay * y
            z = z - rate * move
            share = ops.square(rate) / ops.maximum(ops.cast(self._rates, variable.dtype), 1e-30)
            x = x + share * (z - x)
            self.assign(fast, z)
            self.assign(variable, (1 - self.beta_1) * z + self.beta_1 * x)

        def _apply_weight_decay(self, variables: Any) -> None:
            """Keras calls this once per step, before the variables: accumulate the squared
            rates."""
            self.assign_add(self._rates, ops.square(ops.cast(self.learning_rate, "float32")))

        def averages(self, variables: list[keras.Variable]) -> list[np.ndarray]:
            """The average x of each variable."""
            found = []
            for variable in variables:
                fast = self._momentums[self._get_variable_index(variable)]
                y, z = (np.asarray(ops.convert_to_numpy(each)) for each in (variable, fast))
                found.append((y - (1 - self.beta_1) * z) / self.beta_1)
            return found

    return ScheduleFree
