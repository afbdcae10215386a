"""Batches for Keras' ``fit``, prepared in a separate thread during training steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.task import Assets, Batch, Example, Task
from aitk.core.training.batches import step_rng

if TYPE_CHECKING:
    import keras

#: Batches made ahead; of a plan with windows as many as one has, so that the model works while
#: the next is encoded.
AHEAD, MOST_AHEAD = 4, 8


class Waiting:
    """Time that a model waited for batches, each measured from the end of the previous step."""

    def __init__(self) -> None:
        self._made: list[float] = []
        self._done: list[float] = []
        self._failure: Exception | None = None

    def batch_is_made(self) -> None:
        """The next batch is ready."""
        self._made.append(time.monotonic())

    def step_is_done(self) -> None:
        """The model has finished a step."""
        self._done.append(time.monotonic())

    def has_failed(self, error: Exception) -> None:
        """No further batch can be made, for this reason."""
        self._failure = error

    def check(self) -> None:
        """Raise what kept batches from being made, if anything did."""
        if self._failure is not None:
            raise self._failure

    @property
    def share(self) -> float:
        """The share of the time between the first step's end and the last one's."""
        if len(self._done) < 2:
            return 0.0
        waited = sum(
            max(0.0, made - done)
            for made, done in zip(self._made[1:], self._done[:-1], strict=False)
        )
        return min(1.0, waited / max(1e-9, self._done[-1] - self._done[0]))


def feed(
    model: keras.Model,
    task: Task,
    assets: Assets,
    *,
    examples_at: Callable[[int], Sequence[Example]],
    steps: int,
    epoch: int,
    start: int,
    seed: int,
    ahead: int = AHEAD,
    waiting: Waiting,
    add_soft_targets: Callable[[Batch], Batch] | None = None,
) -> Any:
    """The batches of an epoch from number ``start`` on: (inputs, targets, weights).

    On TensorFlow, this is a ``tf.data.Dataset`` whose lengths vary without retracing; on other
    backends, a generator.

    Args:
        examples_at: the examples of a step, by its number.
        ahead: batches made ahead, up to ``MOST_AHEAD``.
        waiting: records the time at which each batch is ready, and the error that ends the data.
        add_soft_targets: adds a teacher's outputs to the targets of a batch.
    """
    import keras

    def batch_at(step: int) -> tuple[Any, ...]:
        examples = examples_at(step)
        batch = task.collate(examples, assets, rng=step_rng(seed, epoch, step))
        if add_soft_targets is not None:
            batch = add_soft_targets(batch)
        weights = batch.weights
        if weights is None:
            weights = np.ones(len(examples), np.float32)
        return batch.inputs, batch.targets, weights

    def batches() -> Iterator[tuple[Any, ...]]:
        for step in range(start, steps):
            try:
                batch = batch_at(step)
            except Exception as error:  # noqa: BLE001, raised again when the step has ended
                waiting.has_failed(error)
                return
            waiting.batch_is_made()
            yield batch

    if keras.backend.backend() != "tensorflow":
        return batches()
    import tensorflow as tf

    signature = _signature(model, *batch_at(start))
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return made.prefetch(min(MOST_AHEAD, max(AHEAD, ahead)))


def _signature(model: keras.Model, inputs: Any, targets: Any, weights: np.ndarray) -> Any:
    """Types and shapes of a batch: the model's own for the inputs, free axes for the rest."""
    import tensorflow as tf

    def free(array: Any) -> Any:
        array = np.asarray(array)
        return tf.TensorSpec((None,) * array.ndim, array.dtype)

    shapes = {spec.name: tuple(spec.shape) for spec in model.inputs}
    return (
        {
            name: tf.TensorSpec(shapes[name], array.dtype) if name in shapes else free(array)
            for name, array in inputs.items()
        },
        tf.nest.map_structure(free, targets),
        free(weights),
    )
