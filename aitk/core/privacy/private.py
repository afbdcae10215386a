"""Training with differential privacy: DP-SGD (Abadi et al. 2016, algorithm 1).

A step takes every training row with the same small probability, by itself; the gradient of each
row is clipped to a largest norm; Gaussian noise is added to their sum. What a step may take of one
row is bounded then, whatever the row holds (``core.privacy.accountant``).

Sampling and noise come from a secret that the operating system draws and that is kept only in the
state of an interrupted training: who knew it could subtract the noise. The seed of a run, which
``run.json`` records, decides the initial weights, augmentation and dropout alone. NumPy's and
TensorFlow's generators are no cryptographic ones, and floats are not the real numbers of the
proofs (Mironov 2012): the guarantee is that of the algorithm, not of its last bits.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import BACKBONE
from aitk.core.privacy.accountant import Account

if TYPE_CHECKING:
    import keras

#: Rows that are collated and sent to the model at once; a step may have any number.
ROWS_AT_ONCE = 32
#: Gradients of all these rows are held at once up to so many values (256 MB); beyond, one row comes
#: after the other.
MOST_VALUES = 2**26
#: Layers whose gradients TensorFlow 2.21 vectorises over rows, which is two to three times as fast.
#: Others take one row after the other: a vectorised attention ends the process, a recurrence never
#: ends, and dropout would drop the same for all rows. A layer of another class says
#: ``vectorizes = True``.
VECTORIZED = (
    "InputLayer", "Functional", "Dense", "Conv1D", "Conv2D", "Activation", "ReLU", "Identity",
    "Add", "Concatenate", "Flatten", "Reshape", "MaxPooling1D", "MaxPooling2D", "AveragePooling2D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "ZeroPadding2D",
    "GroupNormalization", "Embedding",
)  # fmt: skip
NO_PRIVATE = "cannot be trained privately"


@dataclass(frozen=True)
class Privacy:
    """What a private training is bound to.

    Attributes:
        account: sampling rate, noise and delta.
        clip_norm: the largest norm of a row's gradient.
        batch_size: rows that a step takes on average; its gradients are divided by it.
        secret: decides sampling and noise.
    """

    account: Account
    clip_norm: float
    batch_size: int
    secret: str

    @staticmethod
    def new_secret() -> str:
        """128 random bits."""
        return secrets.token_hex(16)

    def rng(self, *place: int) -> np.random.Generator:
        """A generator of this training alone, the same for the same place in it."""
        return np.random.default_rng([int(self.secret[:16], 16), int(self.secret[16:], 16), *place])

    def plan_epoch(self, rows: int, steps: int, *, epoch: int) -> list[np.ndarray]:
        """The row numbers of each step: every row with the account's rate, in each step anew."""
        rng = self.rng(1, epoch)
        return [np.flatnonzero(rng.random(rows) < self.account.rate) for _ in range(steps)]

    def noise_seeds(self, step: int, count: int) -> np.ndarray:
        """Seeds of the noise of one step, (count, 2) int64, one for each variable."""
        digest = b"".join(
            hashlib.blake2b(f"{self.secret}/{step}/{number}".encode(), digest_size=16).digest()
            for number in range(count)
        )
        return np.frombuffer(digest, np.int64).reshape(count, 2)


def check_model(model: keras.Model, *, trains_backbone: bool) -> None:
    """Refuse layers whose outputs for one row depend on the others of its batch.

    Args:
        trains_backbone: in any epoch; otherwise its layers keep the statistics they have.

    Raises:
        UsageError: there is such a layer, or the backend is not TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UsageError("needs TensorFlow", where="--private", hint="Unset KERAS_BACKEND")
    backbone = model.get_layer(BACKBONE)
    frozen = set() if trains_backbone else {id(each) for each in _flatten(backbone)}
    for layer in _flatten(model):
        if (
            isinstance(layer, keras.layers.BatchNormalization)
            and layer.trainable
            and id(layer) not in frozen
        ):
            raise UsageError(
                f"a model with batch normalisation ({layer.name}) {NO_PRIVATE}: it mixes the rows"
                " of a batch",
                where="--private",
                hint="Use group normalisation: --set normalization=group, where the model has it",
            )


class PrivateSteps:
    """The steps of a private training of a compiled model."""

    def __init__(self, model: keras.Model, privacy: Privacy):
        import tensorflow as tf

        self.model, self.privacy = model, privacy
        self._variables = model.trainable_variables
        self._sums = [
            tf.Variable(tf.zeros(each.shape, "float32"), trainable=False)
            for each in self._variables
        ]
        values = sum(int(np.prod(each.shape)) for each in self._variables)
        self._at_once = values * ROWS_AT_ONCE <= MOST_VALUES and _vectorizes(model)
        self._add_at_once = tf.function(self._add_rows_at_once, reduce_retracing=True)
        self._add_in_turn = tf.function(self._add_rows_in_turn, reduce_retracing=True)
        self._update = tf.function(self._apply)

    def add(self, inputs: Any, targets: Any, weights: Any) -> float:
        """Add the clipped gradients of some rows to those of the step.

        Returns:
            The sum of their losses, which belongs to no released record.

        Raises:
            UsageError: the batch is not one row after the other.
        """
        import tensorflow as tf

        rows = len(weights)
        for array in tf.nest.flatten((inputs, targets)):
            if array.shape.rank == 0 or array.shape[0] != rows:
                raise UsageError(
                    f"a task whose rows share a batch {NO_PRIVATE}: a row has no gradient of its"
                    " own",
                    where="--private",
                )
        if self._at_once:
            return float(self._add_at_once(inputs, targets, weights))
        return float(self._add_in_turn(inputs, targets, weights))

    def finish(self, step: int) -> None:
        """Add the noise and update the weights; a step without rows is one of noise alone."""
        import tensorflow as tf

        seeds = self.privacy.noise_seeds(step, len(self._sums))
        self._update(tf.constant(seeds))

    def _add_rows_at_once(self, inputs: Any, targets: Any, weights: Any) -> Any:
        import tensorflow as tf

        def one(row: Any) -> Any:
            return self._clipped(*tf.nest.map_structure(lambda array: array[None], row))

        losses, gradients = tf.vectorized_map(one, (inputs, targets, weights))
        for kept, gradient in zip(self._sums, gradients, strict=True):
            kept.assign_add(tf.reduce_sum(gradient, axis=0))
        return tf.reduce_sum(losses)

    def _add_rows_in_turn(self, inputs: Any, targets: Any, weights: Any) -> Any:
        import tensorflow as tf

        total = tf.constant(0.0)
        for row in tf.range(tf.shape(weights)[0]):
            one = tf.nest.map_structure(
                lambda array, row=row: array[row : row + 1], (inputs, targets, weights)
            )
            loss, gradients = self._clipped(*one)
            for kept, gradient in zip(self._sums, gradients, strict=True):
                kept.assign_add(gradient)
            total += loss
        return total

    def _clipped(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, list[Any]]:
        """The loss of one row, and its gradients, together of the clipping norm at most."""
        import tensorflow as tf

        loss, gradients = self._row_gradients(inputs, targets, weights)
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(each)) for each in gradients]))
        usable = tf.math.is_finite(norm)  # otherwise the row adds nothing
        scale = tf.minimum(1.0, self.privacy.clip_norm / tf.maximum(norm, 1e-12))
        clipped = [tf.where(usable, each * scale, tf.zeros_like(each)) for each in gradients]
        return tf.where(usable, tf.cast(loss, "float32"), 0.0), clipped

    def _row_gradients(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, list[Any]]:
        import tensorflow as tf

        values = [each.value for each in self._variables]
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            loss = self.model.compute_loss(
                x=inputs, y=targets, y_pred=outputs, sample_weight=weights
            )
        gradients = tape.gradient(loss, values)
        return loss, [
            tf.zeros(each.shape, "float32")
            if gradient is None
            else tf.cast(tf.convert_to_tensor(gradient), "float32")
            for each, gradient in zip(self._variables, gradients, strict=True)
        ]

    def _apply(self, seeds: Any) -> None:
        import tensorflow as tf

        privacy = self.privacy
        deviation = privacy.account.noise * privacy.clip_norm
        gradients = []
        for number, kept in enumerate(self._sums):
            noise = tf.random.stateless_normal(kept.shape, seeds[number], stddev=deviation)
            gradients.append((kept + noise) / privacy.batch_size)
        self.model.optimizer.apply(gradients, self._variables)
        for kept in self._sums:
            kept.assign(tf.zeros_like(kept))


class StepParts(Sequence[np.ndarray]):
    """The rows of all steps of an epoch, in parts of ``ROWS_AT_ONCE`` rows.

    The gradients of a step are summed, so that its rows may be sorted by length; no row is read
    before its step is.

    Args:
        plan: the rows of each step.
        lengths_of: the lengths of rows, None where all are of one length.
    """

    def __init__(
        self, plan: Sequence[np.ndarray], lengths_of: Callable[[np.ndarray], np.ndarray] | None
    ):
        self._plan, self._lengths_of = plan, lengths_of
        counts = [-(-len(rows) // ROWS_AT_ONCE) for rows in plan]
        #: The first part of each step, and behind them the number of all parts.
        self.starts = np.concatenate([[0], np.cumsum(counts, dtype=int)])
        self._sorted: tuple[int, np.ndarray] = (-1, np.zeros(0, int))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, part: Any) -> Any:
        if not 0 <= part < len(self):
            raise IndexError(part)
        step = int(np.searchsorted(self.starts, part, side="right")) - 1
        if self._sorted[0] != step:
            rows = self._plan[step]
            if self._lengths_of is not None:
                rows = rows[np.argsort(self._lengths_of(rows), kind="stable")]
            self._sorted = (step, rows)
        at = (part - int(self.starts[step])) * ROWS_AT_ONCE
        return self._sorted[1][at : at + ROWS_AT_ONCE]


class Booking(Protocol):
    """Where a training stands between two steps."""

    def rate(self) -> float:
        """The learning rate of the next step."""

    def after_batch(self, loss: float, *, rows: int) -> bool:
        """Record one step. Returns whether to stop."""


def fit_privately(
    steps: PrivateSteps,
    feed: Callable[[Sequence[np.ndarray], int], Iterable[Any]],
    *,
    plan: Sequence[np.ndarray],
    lengths_of: Callable[[np.ndarray], np.ndarray] | None,
    done: int,
    first_step: int,
    booking: Booking,
) -> None:
    """Train a compiled model for the rest of an epoch.

    Args:
        feed: the batches of parts, from a number on.
        plan: the rows of each step of the epoch.
        lengths_of: the lengths of rows, None where all are of one length.
        done: steps of the epoch that were done before.
        first_step: number of the next step in the whole training.
    """
    parts = StepParts(plan, lengths_of)
    start = int(parts.starts[done])
    batches = iter(feed(parts, start)) if start < len(parts) else iter(())
    for number in range(done, len(plan)):
        steps.model.optimizer.learning_rate = booking.rate()
        loss = 0.0
        for _ in range(int(parts.starts[number]), int(parts.starts[number + 1])):
            batch = next(batches, None)
            if batch is None:  # the data ended with an error, which the caller raises
                return
            loss += steps.add(*batch)
        steps.finish(first_step + number - done)
        rows = len(plan[number])
        if booking.after_batch(loss / max(1, rows), rows=rows):
            return


def _vectorizes(model: keras.Model) -> bool:
    """Whether the gradients of several rows can be computed at once."""
    return all(
        type(layer).__name__ in VECTORIZED
        or getattr(layer, "vectorizes", False)
        or (type(layer).__name__ == "Dropout" and not layer.rate)
        for layer in _flatten(model)
    )


def _flatten(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=True, recursive=True))
