"""How much memory a training needs, estimated from the built model, and what would need less.

Weights, gradients and the optimizer's slots are known exactly. What the backward pass keeps is the
output of every layer for a whole batch, from the shapes of the model; inside blocks that Keras
builds of several layers (attention) it is worked out from their weights. The libraries and their
working space come on top (``RUNTIME_BYTES``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    import keras

#: What a process with TensorFlow and Keras takes before it has a model, measured.
RUNTIME_BYTES = 700 * 2**20
#: Slots of a trained weight by optimizer: moments, or momentum.
SLOTS = {"adamw": 2, "adam": 2, "sgd": 1}
#: Of an activation its own value and what its gradient needs while both are there.
KEPT = 2
#: Rows whose lengths are looked at.
ROWS_MEASURED = 256
#: The share of the free memory that an estimate may take.
SAFE = 0.9


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a training needs.

    Attributes:
        weights: with gradients and optimizer slots.
        row: what one row of a batch needs for the backward pass.
        batch_size: rows at once.
    """

    weights: int
    row: int
    batch_size: int

    @property
    def total(self) -> int:
        """All of it, for this process."""
        return RUNTIME_BYTES + self.weights + self.row * self.batch_size

    def fitting_batch(self, available: int) -> int:
        """The most rows at once for which so many bytes suffice; 0 where none do."""
        left = available - RUNTIME_BYTES - self.weights
        return max(0, left // max(1, self.row))


def estimate_memory(
    model: keras.Model, options: Any, *, length: int | None, rematerialized: Sequence[str] = ()
) -> MemoryEstimate:
    """Estimate what training a model takes.

    Args:
        model: built.
        options: ``TrainingOptions`` with the batch size filled in.
        length: of the longest rows, for axes whose size varies.
        rematerialized: names of blocks whose inside is computed again in the backward pass.
    """
    trained = sum(math.prod(each.shape) for each in model.trainable_variables)
    stored = sum(math.prod(each.shape) for each in model.variables)
    copies = (
        1 + SLOTS.get(options.optimizer, 2) + (options.ema is not None) + (options.accumulate > 1)
    )
    copies += 1  # the best weights so far
    width = 2 if options.precision in ("bfloat16", "float16") else 4
    layers = _leaves_and_blocks(model)
    kept = {layer.name: _values(layer, length or 1, again=True) for layer in layers}
    whole = {layer.name: _values(layer, length or 1, again=False) for layer in layers}
    inside = {name: whole[name] - kept[name] for name in rematerialized}
    # Of the blocks that are computed again, the inside of one is there at a time.
    values = sum(whole.values()) - sum(inside.values()) + max(inside.values(), default=0)
    return MemoryEstimate(
        weights=4 * (stored + copies * trained),
        row=KEPT * width * values,
        batch_size=options.batch_size,
    )


def advise(estimate: MemoryEstimate, available: int, *, blocks: Sequence[str]) -> str | None:
    """What to do where a training does not fit into so many bytes; None where it does.

    Args:
        blocks: of the model, whose inside could be computed again.
    """
    allowed = int(SAFE * available)
    if estimate.total <= allowed:
        return None
    need = f"training takes about {_gib(estimate.total)}, and {_gib(available)} are free"
    rows = estimate.fitting_batch(allowed)
    if rows >= 1:
        steps = math.ceil(estimate.batch_size / rows)
        rows = math.ceil(estimate.batch_size / steps)
        advice = f"--batch-size {rows} --accumulate {steps} is the same training in less"
    else:
        advice = "even a batch of one row does not fit: take a smaller model or shorter rows"
    if blocks:
        advice += "; --rematerialize needs less for each row, and more time"
    return f"{need}: {advice}"


def blocks_of(model: keras.Model) -> list[Any]:
    """The layers that Keras builds of several others, such as a block of a transformer."""
    import keras

    recurrent = (keras.layers.RNN, keras.layers.Bidirectional)
    return [
        layer
        for layer in _leaves_and_blocks(model)
        if not isinstance(layer, recurrent) and _inner(layer)
    ]


def rematerialize(model: keras.Model) -> list[str]:
    """Have blocks computed again in the backward pass, rather than kept (Chen et al. 2016).

    Of each block only its input and output are kept, so that memory grows with the number of
    blocks and not with what is inside them.

    Returns:
        The names of the blocks; none where the model has none.

    Raises:
        UsageError: the backend is not TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UsageError("needs TensorFlow", where="--rematerialize", hint="Unset KERAS_BACKEND")
    found = blocks_of(model)
    for layer in found:
        layer.call = _again(layer.call)
    return [layer.name for layer in found]


def _again(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call of a layer whose inside is computed again for the gradient.

    ``keras.RematScope`` does so while layers are made, for calls without keywords alone: in a
    compiled step, TensorFlow's ``recompute_grad`` takes none. Here they become arguments.
    """
    import tensorflow as tf

    @functools.wraps(call)
    def computed(*args: Any, **kwargs: Any) -> Any:
        values = tf.nest.flatten((args, kwargs))
        places = [at for at, value in enumerate(values) if tf.is_tensor(value)]

        def run(*tensors: Any) -> Any:
            whole = list(values)
            for at, tensor in zip(places, tensors, strict=True):
                whole[at] = tensor
            own, named = tf.nest.pack_sequence_as((args, kwargs), whole)
            return call(*own, **named)

        if not places:  # while a model is built of symbolic tensors
            return call(*args, **kwargs)
        return tf.recompute_grad(run)(*(values[at] for at in places))

    return computed


def prepare_memory(
    model: keras.Model, options: Any, *, rows: Examples, fixed: bool, reporter: Reporter
) -> None:
    """Rematerialise a model if the options say so; warn before a training that will not fit.

    Args:
        rows: of the training; a few of them are looked at for their lengths.
        fixed: all rows are of one length.

    Raises:
        UsageError: the model has no blocks to compute again.
    """
    again: list[str] = []
    if options.rematerialize and not (again := rematerialize(model)):
        raise UsageError(
            "this model has no blocks whose inside could be computed again",
            where="--rematerialize",
            hint="Use a smaller --batch-size with --accumulate",
        )
    available = free_memory()
    if available is not None:
        some = np.unique(np.linspace(0, len(rows) - 1, 1 if fixed else ROWS_MEASURED).astype(int))
        length = int(rows.lengths_of(some).max(initial=1))
        needed = estimate_memory(model, options, length=length, rematerialized=again)
        blocks = [] if again else [layer.name for layer in blocks_of(model)]
        if advice := advise(needed, available, blocks=blocks):
            reporter.warn(advice)


def free_memory() -> int | None:
    """Bytes that are free on the device that trains; None where that is not known."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return None  # it grows as it is needed, and the driver does not say by how much it can
    limits = [_number(Path("/sys/fs/cgroup/memory.max")), _available()]
    known = [each for each in limits if each is not None]
    return min(known) if known else None


def _leaves_and_blocks(model: Any) -> list[Any]:
    """The layers of a functional model and of models inside it."""
    import keras

    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += _leaves_and_blocks(layer)
        else:
            found.append(layer)
    return found


def _values(layer: Any, length: int, *, again: bool) -> int:
    """Numbers that a layer keeps for one row."""
    try:
        shapes = [tuple(each.shape) for each in _tensors(layer.output)]
    except (AttributeError, ValueError):  # it is called more than once, or not as a tensor
        return 0
    own = sum(math.prod(size or length for size in shape[1:]) for shape in shapes)
    if again or not _inner(layer):
        return own
    steps = next((shape[1] or length for shape in shapes if len(shape) > 2), 1)
    for inner in _inner(layer):
        kernel = getattr(inner, "kernel", None)
        if kernel is not None:
            fed = getattr(inner, "input_spec", None)
            axis = fed.axes.get(-1) if fed is not None and getattr(fed, "axes", None) else None
            own += steps * math.prod(kernel.shape) // max(1, axis or kernel.shape[0])
        heads = getattr(inner, "num_heads", None)
        if isinstance(heads, int):
            own += 2 * heads * steps * steps  # scores of attention, and their softmax
    return own


def _inner(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=True))


def _tensors(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return list(output.values())
    return list(output) if isinstance(output, list | tuple) else [output]


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(
        (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None
    )


def _gib(amount: int) -> str:
    return f"{amount / 2**30:.1f} GiB"
