"""Training steps by ranks on the JAX backend: each computes its share of the rows of a batch.

As in ``replicas``, gradients are summed over the ranks before they are clipped and applied, so that
a step is that of one process on the whole batch. A rank's model is its own, on its first device:
predictions, saving and resuming need no other rank. ``keras.distribution`` would make arrays that
no single process can read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.distributed.gang import Rank, current_rank
from aitk.core.training.replicas import Wishes, share_of

if TYPE_CHECKING:
    import keras

#: Name of the axis of ranks.
_RANKS = "ranks"


class JaxRanks:
    """The ranks as a model's replicas; see ``replicas.Replicas``, whose members it has.

    Batch normalisation: each rank takes the statistics of its own rows, and the moving ones are
    averaged over the ranks.
    """

    spans_processes = True

    def __init__(self, model: keras.Model, wishes: Callable[[], Wishes], rank: Rank):
        self._model, self._wishes, self._rank = model, wishes, rank
        self._sum = _summing(rank.total)
        self._optimizer: Any = None
        self._gradients: Callable[..., Any] | None = None
        self._apply: Callable[..., Any] | None = None
        self.agreed = Wishes()
        self.writes = rank.leads

    def scope(self) -> Any:
        """A context that does nothing."""
        return contextlib.nullcontext()

    def agree(self, wish: bool) -> bool:
        """The wish of rank 0, in every process. All of them must ask at the same point."""
        return bool(self._sum(np.float32(wish and self._rank.leads)) > 0)

    def fit(
        self, batches: Iterable[tuple[Any, Any, Any]], *, callbacks: Sequence[Any], **given: Any
    ) -> None:
        """Take a step for each batch, until the model is told to stop; see ``Replicas.fit``."""
        del given
        model = self._model
        if self._optimizer is not model.optimizer:  # compiled anew
            self._optimizer = model.optimizer
            self._compile()
        model.stop_training = False
        for callback in callbacks:
            callback.set_model(model)
        for number, batch in enumerate(batches):
            for callback in callbacks:
                callback.on_train_batch_begin(number)
            loss = self._step(batch)
            for callback in callbacks:
                callback.on_train_batch_end(number, {"loss": loss})
            if model.stop_training:
                return

    def _step(self, batch: tuple[Any, Any, Any]) -> float:
        """Take one step together; the loss of the whole batch."""
        import jax

        assert self._gradients is not None and self._apply is not None
        model, leads = self._model, self._rank.leads
        start, stop, weight = share_of(self._rank.index, self._rank.total, len(batch[2]))
        own = jax.tree_util.tree_map(lambda array: array[start:stop], batch)
        trained, others = _values(model.trainable_variables), _values(model.non_trainable_variables)
        states = _values(self._optimizer.variables)
        loss, gradients, others = self._gradients(trained, others, states, *own, np.float32(weight))
        means = {
            place: value / self._rank.total
            for place, value in enumerate(others)
            if np.issubdtype(value.dtype, np.floating)  # the seeds of dropout are whole numbers
        }
        wanted = np.array([float(wish and leads) for wish in self._wishes()], np.float32)
        loss, gradients, means, agreed = self._sum((loss, gradients, means, wanted))
        trained, states = self._apply(trained, gradients, states)
        _assign(model.trainable_variables, trained)
        _assign(self._optimizer.variables, states)
        _assign(
            model.non_trainable_variables, [means.get(at, old) for at, old in enumerate(others)]
        )
        self.agreed = Wishes(*(wish > 0 for wish in np.asarray(agreed).tolist()))
        return float(loss)

    def _compile(self) -> None:
        import jax

        model, optimizer = self._model, self._optimizer
        metrics = _values(model.metrics_variables)  # not updated

        def scaled_loss(trained: Any, others: Any, states: Any, batch: Any, weight: Any) -> Any:
            inputs, targets, weights = batch
            loss, (plain, _, others, _) = model.compute_loss_and_updates(
                trained,
                others,
                metrics,
                inputs,
                targets,
                weights,
                training=True,
                optimizer_variables=states,
            )
            return loss * weight, (plain * weight, others)

        def gradients(
            trained: Any,
            others: Any,
            states: Any,
            inputs: Any,
            targets: Any,
            weights: Any,
            weight: Any,
        ) -> Any:
            found = jax.value_and_grad(scaled_loss, has_aux=True)
            batch = (inputs, targets, weights)
            (_, (loss, others)), grads = found(trained, others, states, batch, weight)
            return loss, grads, others

        self._gradients = jax.jit(gradients)
        self._apply = jax.jit(
            lambda old, grads, states: optimizer.stateless_apply(states, grads, old)
        )


def _values(variables: Sequence[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _summing(total: int) -> Callable[[Any], Any]:
    """The function that sums arrays over all ranks, for all of them."""
    import jax
    from jax import numpy as jnp
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    first = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([first[index] for index in range(total)]), (_RANKS,))
    divided = NamedSharding(mesh, PartitionSpec(_RANKS))
    add = jax.jit(
        lambda arrays: jax.tree_util.tree_map(lambda array: array.sum(0), arrays),
        out_shardings=NamedSharding(mesh, PartitionSpec()),
    )
    here = first[jax.process_index()]

    def stacked(array: Any) -> Any:
        own = jax.device_put(jnp.asarray(array)[None], here)
        shape = (total, *own.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, divided, [own])

    def summed(arrays: Any) -> Any:
        sums = add(jax.tree_util.tree_map(stacked, arrays))
        return jax.tree_util.tree_map(lambda array: array.addressable_data(0), sums)

    return summed


def jax_ranks_of(model: keras.Model, wishes: Callable[[], Wishes]) -> JaxRanks | None:
    """The ranks of this training on JAX; None where it has one process, or another backend."""
    import keras

    rank = current_rank()
    if rank is None or keras.backend.backend() != "jax":
        return None
    return JaxRanks(model, wishes, rank)
