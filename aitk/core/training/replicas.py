"""Training steps on several devices: each computes its share of the rows of one global batch.

The gradients of all replicas are summed before they are clipped and applied, so that a step is that
of one device on the whole batch: to rounding, where the loss is a mean over rows and no layer looks
at several rows (dropout draws other masks, batch normalisation takes each replica's own statistics,
and a contrastive loss sees each replica's own rows).

``MirroredStrategy`` has its replicas in one process; under ``MultiWorkerMirroredStrategy`` a rank
runs this with the same batches. Keras' own ``fit`` fails under the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aitk.core.distributed.gang import current_rank

if TYPE_CHECKING:
    import keras


class Wishes(NamedTuple):
    """What rank 0 wants after a step, which all ranks then do together."""

    stop: bool = False
    save: bool = False
    no_more: bool = False


class Replicas:
    """The devices that a model was built for, with a ``fit`` like that of Keras.

    Args:
        model: built in the scope of a strategy.
        wishes: what this process wants; of several processes, rank 0's wishes count.

    Attributes:
        agreed: what rank 0 wanted before the last step.
        spans_processes: whether some of the replicas are in other processes.
        writes: whether this process is the one that writes.
    """

    def __init__(self, model: keras.Model, wishes: Callable[[], Wishes]):
        rank = current_rank()
        self._model, self._wishes = model, wishes
        self._strategy: Any = model.distribute_strategy
        self._step: Callable[..., Any] | None = None
        self._optimizer: Any = None
        self.agreed = Wishes()
        self.spans_processes = rank is not None
        self.writes = rank is None or rank.leads

    @property
    def count(self) -> int:
        """How many there are, those of other processes included."""
        total: int = self._strategy.num_replicas_in_sync
        return total

    def scope(self) -> Any:
        """A context in which variables are made on all of them."""
        return self._strategy.scope()

    def fit(
        self, batches: Iterable[tuple[Any, Any, Any]], *, callbacks: Sequence[Any], **given: Any
    ) -> None:
        """Take a step for each batch, until the model asks to stop.

        Args:
            batches: inputs, targets and weights of the rows, the same in every process.
            callbacks: Keras callbacks, which hear of the beginning and the end of each batch.
            given: what else Keras takes; an epoch is what the batches are.
        """
        del given
        model = self._model
        if self._optimizer is not model.optimizer:  # compiled anew
            self._optimizer = model.optimizer
            self._step = self._compiled()
        assert self._step is not None
        model.stop_training = False
        for callback in callbacks:
            callback.set_model(model)
        for number, batch in enumerate(batches):
            for callback in callbacks:
                callback.on_train_batch_begin(number)
            rows = int(batch[2].shape[0])
            agreed = self._from_first(self._wishes())
            loss, *wanted = np.asarray(self._step(*self._divided(batch, rows), agreed)).tolist()
            self.agreed = Wishes(*(wish > 0 for wish in wanted))
            for callback in callbacks:
                callback.on_train_batch_end(number, {"loss": loss})
            if model.stop_training:
                return

    def agree(self, wish: bool) -> bool:
        """The wish of rank 0, in every process. All of them must ask at the same point."""
        import tensorflow as tf

        agreed = self._from_first((wish,))
        sums = self._strategy.reduce(tf.distribute.ReduceOp.SUM, agreed, axis=None)
        return bool(np.asarray(sums)[0] > 0)

    def _from_first(self, wishes: Sequence[bool]) -> Any:
        """Wishes of the first replica; the others have none."""
        import tensorflow as tf

        def value(context: Any) -> Any:
            first = context.replica_id_in_sync_group == 0
            return tf.constant([float(wish and first) for wish in wishes], tf.float32)

        return self._strategy.experimental_distribute_values_from_function(value)

    def _divided(self, batch: tuple[Any, Any, Any], rows: int) -> tuple[Any, Any]:
        """The rows of each replica, and the weight of its mean in the mean over all rows."""
        import tensorflow as tf

        def share(context: Any) -> tuple[int, int, float]:
            return share_of(int(context.replica_id_in_sync_group), self.count, rows)

        def part(context: Any) -> Any:
            start, stop, _ = share(context)
            return tf.nest.map_structure(lambda array: array[start:stop], batch)

        def weight(context: Any) -> Any:
            return tf.constant(share(context)[2] * self.count, tf.float32)

        distribute = self._strategy.experimental_distribute_values_from_function
        return distribute(part), distribute(weight)

    def _compiled(self) -> Callable[..., Any]:
        import keras
        import tensorflow as tf

        model, strategy, optimizer = self._model, self._strategy, self._optimizer
        _apply_as_given(optimizer)
        # Keras divides its own losses by the number of replicas; a model's own it does not know.
        is_own = type(model).compute_loss is not keras.Model.compute_loss
        divisor = self.count if is_own else 1

        def on_replica(batch: Any, weight: Any, wishes: Any) -> Any:
            inputs, targets, weights = batch
            with tf.GradientTape() as tape:
                outputs = model(inputs, training=True)
                loss = model.compute_loss(
                    x=inputs, y=targets, y_pred=outputs, sample_weight=weights, training=True
                )
                loss = loss * tf.cast(weight / divisor, loss.dtype)
                scaled = optimizer.scale_loss(loss)
            variables = model.trainable_variables
            found = tape.gradient(scaled, variables)
            known = [(grad, variable) for grad, variable in zip(found, variables, strict=True)]
            known = [(grad, variable) for grad, variable in known if grad is not None]
            context = tf.distribute.get_replica_context()
            summed = context.all_reduce(tf.distribute.ReduceOp.SUM, [grad for grad, _ in known])
            optimizer.apply_gradients(
                (grad, variable) for grad, (_, variable) in zip(summed, known, strict=True)
            )
            return tf.concat([[tf.cast(loss, tf.float32)], wishes], axis=0)

        @tf.function(reduce_retracing=True, autograph=False)
        def step(batch: Any, weight: Any, wishes: Any) -> Any:
            agreed = strategy.run(on_replica, args=(batch, weight, wishes))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, agreed, axis=None)

        compiled: Callable[..., Any] = step
        return compiled


def share_of(index: int, count: int, rows: int) -> tuple[int, int, float]:
    """The rows of a replica, from one number to another (exclusive), and their share of all."""
    start, stop = index * rows // count, (index + 1) * rows // count
    weight = (stop - start) / rows
    start = min(start, rows - 1)  # a replica without rows computes one that counts nothing
    return start, max(stop, start + 1), weight


def replicas_of(model: keras.Model, wishes: Callable[[], Wishes]) -> Replicas | None:
    """The devices of a model that was built for several; None for one."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    several = model.distribute_strategy.num_replicas_in_sync > 1
    return Replicas(model, wishes) if several else None


def _apply_as_given(optimizer: Any) -> None:
    """Let an optimizer apply gradients that are summed over the replicas already.

    By itself it sums them after it has clipped each replica's own.
    """
    inner = getattr(optimizer, "inner_optimizer", None)  # of mixed float16
    for each in (optimizer, inner) if inner is not None else (optimizer,):
        object.__setattr__(each, "_all_reduce_sum_gradients", lambda grads_and_vars: grads_and_vars)
