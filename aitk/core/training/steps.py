"""What happens around each step of Keras' fit, and how it fails."""

from __future__ import annotations

from typing import Any, Protocol

from aitk.core.training.batches import EpochPlan
from aitk.core.training.packing import PackedPlan


class RecordsSteps(Protocol):
    """A training loop, as the callback sees it."""

    def rate(self) -> float:
        """The learning rate of the next step."""

    def after_batch(self, loss: float, *, rows: int) -> bool:
        """Record one step; return whether to stop."""


def step_callback(loop: RecordsSteps, plan: EpochPlan | PackedPlan, *, start: int) -> Any:
    """A Keras callback that hands every batch of a plan from number ``start`` on to the loop."""
    import keras

    class StepCallback(keras.callbacks.Callback):
        # On JAX, reading ``self.model`` synchronises its variables with the step.

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = loop.rate()
            self.model.reset_metrics()  # so that the logged loss is that of this batch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            model = self.model
            if loop.after_batch(float((logs or {})["loss"]), rows=plan.size(start + batch)):
                model.stop_training = True

    return StepCallback()


def out_of_memory() -> tuple[type[BaseException], ...]:
    import keras

    if keras.backend.backend() != "tensorflow":
        return (MemoryError,)
    import tensorflow as tf

    return (MemoryError, tf.errors.ResourceExhaustedError)
