"""Decoders: a model run one token at a time, with or without a cache.

Search algorithms (``beam_search``, ``continuation``) use only a ``Decoder`` and no framework. They
drop finished rows with ``take``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from aitk.core.layers import Tensor
from aitk.core.metrics.classification import log_softmax

#: Caches grow in steps of this size, to limit the number of shapes.
LENGTH_STEP = 16
#: Shapes by name; None is the number of rows, or of positions.
Shapes = Mapping[str, tuple[int | None, ...]]


class Incremental(Protocol):
    """The incremental form of a model. All arrays have the row as their first axis."""

    #: Inputs of ``start``, by name, with shapes (int32).
    start_shapes: Shapes
    #: Source state, unchanged by tokens.
    memory_shapes: Shapes
    #: State of the tokens so far.
    cache_shapes: Shapes
    #: Data type of memory and cache.
    compute_dtype: str

    def start(self, inputs: Mapping[str, Any], rows: Any, length: Any) -> tuple[Any, Any]:
        """Memory and empty cache for up to ``length`` tokens, each a dict of tensors."""

    def step(self, token_ids: Any, place: Any, memory: Any, cache: Any) -> tuple[Any, Any]:
        """Read (rows, new) tokens, the first at ``place``.

        Returns:
            Float32 logits of the next token (rows, vocabulary), and the cache.
        """


@runtime_checkable
class Decodes(Protocol):
    """A Keras model that may have an incremental form."""

    def incremental(self) -> Incremental | None:
        """The incremental form with the same weights; None if its backbone has none."""


@dataclass(frozen=True)
class State:
    """The state of a decoder between two steps.

    Attributes:
        place: number of tokens read.
        memory: state of the source.
        cache: state of these tokens.
    """

    place: int
    memory: Mapping[str, Any]
    cache: Mapping[str, Any]


class Decoder(Protocol):
    """The interface between search algorithms and models."""

    def start(self, inputs: Mapping[str, np.ndarray], *, rows: int, length: int) -> State:
        """The initial state, with room for ``length`` tokens.

        Args:
            inputs: the source, by name; empty if there is none.
        """

    def advance(
        self, state: State, token_ids: np.ndarray, parents: np.ndarray | None = None
    ) -> tuple[Any, State]:
        """Read the next tokens of every row.

        Args:
            token_ids: (rows, new) int.
            parents: (rows,) the row whose cache each continues; None: its own.

        Returns:
            Logits of the next token (rows, vocabulary), for ``best`` or ``to_numpy``; the new
            state.
        """

    def take(self, state: State, rows: np.ndarray) -> State:
        """The state of selected rows, in this order; rows may be repeated."""

    def best(self, logits: Any, count: int, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest next tokens: log-probabilities and ids, (rows, count), best first.

        Args:
            bias: (vocabulary,) added to the logits, for instance to suppress tokens.
        """

    def to_numpy(self, logits: Any) -> np.ndarray:
        """Logits as an array."""


def room_for(tokens: int) -> int:
    """The cache length for a number of tokens."""
    return -(-tokens // LENGTH_STEP) * LENGTH_STEP


class _ArrayDecoder:
    """Common base of decoders that compute in NumPy."""

    def take(self, state: State, rows: np.ndarray) -> State:
        return State(state.place, _rows_of(state.memory, rows), _rows_of(state.cache, rows))

    def best(self, logits: Any, count: int, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chances = log_softmax(np.asarray(logits, np.float32) + bias)
        ids = np.argpartition(-chances, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(chances, ids, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(ids, order, axis=1)

    def to_numpy(self, logits: Any) -> np.ndarray:
        return np.asarray(logits, np.float32)


class FunctionDecoder(_ArrayDecoder):
    """A decoder from two functions on arrays, as in exported models.

    Args:
        start: source arrays by name and ``rows``, ``length`` (1,) int32 -> arrays with names that
            start with ``memory_`` or ``cache_``.
        step: these, ``step_ids`` (rows, 1) int32 and ``place`` (1,) int32 -> ``logits``
            (rows, vocabulary) and the arrays of the cache.
    """

    def __init__(
        self,
        start: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
        step: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    ):
        self._start, self._step = start, step

    def start(self, inputs: Mapping[str, np.ndarray], *, rows: int, length: int) -> State:
        sizes = {"rows": np.array([rows], np.int32), "length": np.array([length], np.int32)}
        found = self._start({**inputs, **sizes})
        memory = {name: array for name, array in found.items() if name.startswith("memory_")}
        cache = {name: array for name, array in found.items() if name.startswith("cache_")}
        return State(0, memory, cache)

    def advance(
        self, state: State, token_ids: np.ndarray, parents: np.ndarray | None = None
    ) -> tuple[Any, State]:
        cache = state.cache if parents is None else _rows_of(state.cache, parents)
        logits: Any = None
        for at, column in enumerate(np.asarray(token_ids, np.int32).T, state.place):
            place = {"step_ids": column[:, None], "place": np.array([at], np.int32)}
            outputs = dict(self._step({**place, **state.memory, **cache}))
            logits, cache = outputs.pop("logits"), outputs
        return logits, State(state.place + token_ids.shape[1], state.memory, cache)


class UncachedDecoder(_ArrayDecoder):
    """A decoder for any model, which reads all tokens again at every step.

    Args:
        score: the source by name and tokens (rows, length) -> logits of the next token (rows,
            vocabulary).
    """

    def __init__(self, score: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]):
        self._score = score

    def start(self, inputs: Mapping[str, np.ndarray], *, rows: int, length: int) -> State:
        return State(0, inputs, {"token_ids": np.zeros((rows, 0), np.int32)})

    def advance(
        self, state: State, token_ids: np.ndarray, parents: np.ndarray | None = None
    ) -> tuple[Any, State]:
        cache = state.cache if parents is None else _rows_of(state.cache, parents)
        tokens = np.concatenate([cache["token_ids"], token_ids], axis=1).astype(np.int32)
        logits = self._score(state.memory, tokens)
        return logits, State(tokens.shape[1], state.memory, {"token_ids": tokens})


class CheckedDecoder:
    """A decoder each of whose calls runs in a context, which converts its errors."""

    def __init__(self, decoder: Decoder, checks: Callable[[], AbstractContextManager[None]]):
        self._decoder, self._checks = decoder, checks

    def start(self, inputs: Mapping[str, np.ndarray], *, rows: int, length: int) -> State:
        with self._checks():
            return self._decoder.start(inputs, rows=rows, length=length)

    def advance(
        self, state: State, token_ids: np.ndarray, parents: np.ndarray | None = None
    ) -> tuple[Any, State]:
        with self._checks():
            return self._decoder.advance(state, token_ids, parents)

    def take(self, state: State, rows: np.ndarray) -> State:
        with self._checks():
            return self._decoder.take(state, rows)

    def best(self, logits: Any, count: int, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with self._checks():
            return self._decoder.best(logits, count, bias)

    def to_numpy(self, logits: Any) -> np.ndarray:
        return self._decoder.to_numpy(logits)


class KerasDecoder:
    """A Keras model: one compiled step for any number of rows and any cache length.

    Weights are read at each call, so that a model can be used while it is trained.
    """

    def __init__(self, model: Incremental):
        import keras

        self._model = model
        self._start: Callable[..., Any] = model.start
        self._best: Callable[..., Any] = _best
        self._take: Callable[..., Any] = _take
        self._prefill = self._step = model.step
        self._step_from: Callable[..., Any] = self._advance_from
        if keras.backend.backend() == "tensorflow":
            self._compile()

    def start(self, inputs: Mapping[str, np.ndarray], *, rows: int, length: int) -> State:
        import keras

        given = {
            name: keras.ops.convert_to_tensor(inputs[name], "int32")
            for name in self._model.start_shapes
        }
        sizes = (keras.ops.convert_to_tensor(size, "int32") for size in (rows, length))
        return State(0, *self._start(given, *sizes))

    def advance(
        self, state: State, token_ids: np.ndarray, parents: np.ndarray | None = None
    ) -> tuple[Any, State]:
        import keras

        tokens, place = (
            keras.ops.convert_to_tensor(each, "int32") for each in (token_ids, state.place)
        )
        if parents is not None and token_ids.shape[1] > 1:
            state, parents = self.take(state, parents), None
        if parents is None:  # the cache stays as it is: copying it takes a sixth of a small step
            run = self._step if token_ids.shape[1] == 1 else self._prefill
            logits, cache = run(tokens, place, state.memory, state.cache)
        else:
            rows = keras.ops.convert_to_tensor(parents, "int32")
            logits, cache = self._step_from(tokens, place, rows, state.memory, state.cache)
        return logits, State(state.place + token_ids.shape[1], state.memory, cache)

    def take(self, state: State, rows: np.ndarray) -> State:
        import keras

        indices = keras.ops.convert_to_tensor(rows, "int32")
        memory, cache = self._take(indices, state.memory, state.cache)
        return State(state.place, memory, cache)

    def best(self, logits: Any, count: int, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chances, ids = self._best(logits, count, bias)
        return np.asarray(chances), np.asarray(ids)

    def to_numpy(self, logits: Any) -> np.ndarray:
        import keras

        return keras.ops.convert_to_numpy(logits)

    def _advance_from(
        self,
        tokens: Tensor,
        place: Tensor | int,
        parents: Tensor,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> Tensor:
        import keras

        kept = {name: keras.ops.take(array, parents, axis=0) for name, array in cache.items()}
        return self._model.step(tokens, place, memory, kept)

    def _compile(self) -> None:
        import tensorflow as tf

        compute_dtype = tf.as_dtype(self._model.compute_dtype)

        def specs(shapes: Shapes, dtype: Any) -> dict[str, Any]:
            return {name: tf.TensorSpec(shape, dtype) for name, shape in shapes.items()}

        memory = specs(self._model.memory_shapes, compute_dtype)
        cache = specs(self._model.cache_shapes, compute_dtype)
        number = tf.TensorSpec((), tf.int32)
        rows = tf.TensorSpec((None,), tf.int32)

        def compiled(function: Callable[..., Any], *signature: Any) -> Callable[..., Any]:
            return tf.function(function, input_signature=list(signature), autograph=False)

        self._start = compiled(
            self._model.start, specs(self._model.start_shapes, tf.int32), number, number
        )
        token = tf.TensorSpec((None, 1), tf.int32)
        tokens = tf.TensorSpec((None, None), tf.int32)
        self._step = compiled(self._model.step, token, number, memory, cache)
        self._prefill = compiled(self._model.step, tokens, number, memory, cache)
        self._step_from = compiled(self._advance_from, token, number, rows, memory, cache)
        self._take = compiled(_take, rows, memory, cache)
        self._best = tf.function(_best, reduce_retracing=True, autograph=False)


def _best(logits: Tensor, count: int, bias: Tensor) -> Tensor:
    from keras import ops

    chances = ops.log_softmax(ops.cast(logits, "float32") + bias, axis=-1)
    return ops.top_k(chances, count)


def _take(
    rows: Tensor, memory: Mapping[str, Tensor], cache: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], ...]:
    from keras import ops

    return tuple(
        {name: ops.take(array, rows, axis=0) for name, array in arrays.items()}
        for arrays in (memory, cache)
    )


def _rows_of(arrays: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    return {name: array[rows] for name, array in arrays.items()}
