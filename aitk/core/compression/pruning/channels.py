"""Structured pruning: remove the channels with the smallest filters (Li et al. 2017).

"Pruning Filters for Efficient ConvNets", section 3: a convolution loses the filters with the
smallest L1 norm, and the layers that read its map lose the same input channels. Scattered zeros
take as much time as other numbers, while narrower kernels are faster everywhere.

Only inner channels are pruned: those read by convolutions or dense layers, not those that are
added, concatenated, reshaped or returned. So every sum keeps its width, as does the map that a
backbone passes to heads. Each convolution loses the same share (section 3.2), since norms of
different layers have no common scale.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import keras

#: Channels that every convolution keeps: the usual vector width of processors; fewer would save no
#: time.
LEAST = 8


@dataclass(frozen=True)
class Inner:
    """A layer whose channels end inside of the network.

    Attributes:
        path: names of the models it lies in and its own, joined by ``/``.
        layer: the convolution whose filters may go, or the dense layer whose units may.
        followers: layers on the way that treat each channel by itself.
        readers: convolutions and dense layers at the end of the way.
    """

    path: str
    layer: Any
    followers: tuple[Any, ...]
    readers: tuple[Any, ...]


def prune_channels(model: keras.Model, *, share: float) -> tuple[keras.Model, int]:
    """The network without the smallest filters of every prunable convolution.

    Args:
        model: functional; nested models are pruned as well. It is not modified.
        share: share of the filters to remove per convolution, from 0 to 1; at least ``LEAST`` are
            kept.

    Returns:
        The smaller model, and the number of channels removed.

    Raises:
        UsageError: there is no such convolution, or none can be made narrower.
    """
    found = inner_channels(model)
    if not found:
        raise UsageError(
            "this model has no convolution whose channels can be removed",
            where="--prune-channels",
            hint="Try --prune, which sets single weights to zero",
        )
    kept = {inner.path: smallest_removed(_kernel(inner.layer), share=share) for inner in found}
    removed = sum(inner.layer.filters - len(kept[inner.path]) for inner in found)
    if not removed:
        widest = max(inner.layer.filters for inner in found)
        raise UsageError(
            f"a share of {share:g} removes no channel of convolutions with at most {widest}, of"
            f" which {LEAST} are kept",
            where="--prune-channels",
            hint="Try a larger share, or --prune",
        )
    return without_channels(model, kept), removed


def smallest_removed(kernel: np.ndarray, *, share: float) -> np.ndarray:
    """Numbers of the filters to keep, in order: those with the largest L1 norms.

    Args:
        kernel: (..., inputs, filters).
    """
    norms = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0)
    removed = max(0, min(round(share * len(norms)), len(norms) - LEAST))
    return np.sort(np.argsort(norms, kind="stable")[removed:])


def narrowed_like(model: keras.Model, pattern: keras.Model) -> keras.Model:
    """Prune a model to the widths of another one; unchanged if they agree.

    Args:
        model: built from the same settings as the original of ``pattern``, with its own outputs.
        pattern: the pruned model, whose convolutions of the same names give the widths.
    """
    filters = {inner.path: inner.layer.filters for inner in inner_channels(pattern)}
    kept = {
        inner.path: np.arange(filters[inner.path])
        for inner in inner_channels(model)
        if filters.get(inner.path, inner.layer.filters) < inner.layer.filters
    }
    return without_channels(model, kept) if kept else model


def without_channels(model: keras.Model, kept: Mapping[str, np.ndarray]) -> keras.Model:
    """Rebuild the network with fewer channels and otherwise equal weights.

    Args:
        kept: path of a convolution or a dense layer, as ``inner_channels`` and ``inner_units``
            tell it -> numbers of the channels that stay.
    """
    outputs: dict[int, np.ndarray] = {}
    inputs: dict[int, np.ndarray] = {}
    for inner in (*inner_channels(model), *inner_units(model)):
        if inner.path in kept:
            for layer in (inner.layer, *inner.followers):
                outputs[id(layer)] = kept[inner.path]
            for layer in (*inner.followers, *inner.readers):
                inputs[id(layer)] = kept[inner.path]
    narrow = _rebuilt(model, outputs, {})
    _fill(model, narrow, outputs, inputs)
    return narrow


def inner_channels(model: keras.Model) -> list[Inner]:
    """Every convolution whose channels end inside of the network, in the order of its layers."""
    return _inner(model, _prunable)


def inner_units(model: keras.Model) -> list[Inner]:
    """The same of dense layers that only dense layers read: feed-forward parts."""
    import keras

    return [
        inner
        for inner in _inner(model, _has_units)
        if all(type(reader) is keras.layers.Dense for reader in inner.readers)
    ]


def _inner(model: keras.Model, suits: Callable[[Any], bool]) -> list[Inner]:
    graphs = list(_graphs(model, ""))
    uses: Counter[int] = Counter()
    for graph in graphs:
        uses.update(graph.uses)
    found = []
    for graph in graphs:
        for name, layer in graph.operations.items():
            if suits(layer) and uses[id(layer)] == 1:
                ways = _ways_from(name, graph, uses)
                if ways is not None:
                    found.append(Inner(f"{graph.prefix}{name}", layer, *ways))
    return found


@dataclass(frozen=True)
class _Graph:
    """One functional model as a graph of operations, by name.

    Attributes:
        prefix: prefix of its layers' paths.
        operations: by name.
        readers: name -> names of the operations that read its output.
        ends: names of the operations that produce the model's outputs.
        uses: number of calls of each operation, by id.
    """

    prefix: str
    operations: Mapping[str, Any]
    readers: Mapping[str, list[str]]
    ends: frozenset[str]
    uses: Counter[int]


def _graphs(model: Any, prefix: str) -> Iterator[_Graph]:
    """The graphs of a functional model and of its nested models."""
    if not _is_open(model):
        return
    operations = {operation.name: operation for operation in model.operations}
    readers: dict[str, list[str]] = defaultdict(list)
    uses: Counter[int] = Counter()
    for entry in model.get_config()["layers"]:
        uses[id(operations[entry["name"]])] += len(entry["inbound_nodes"])
        for source in _sources(entry["inbound_nodes"]):
            readers[source].append(entry["name"])
    ends = frozenset(tensor._keras_history.operation.name for tensor in model.outputs)
    yield _Graph(prefix, operations, readers, ends, uses)
    for name, operation in operations.items():
        yield from _graphs(operation, f"{prefix}{name}/")


def _is_open(layer: Any) -> bool:
    """Whether a layer is a functional model that can be rebuilt from its own layers.

    Keras Hub's networks and subclassed models cannot: they are treated as one layer.
    """
    import keras

    return isinstance(layer, keras.Function) and "layers" in layer.get_config()


def _sources(value: Any) -> Iterator[str]:
    """Names of the operations whose outputs are arguments in a configuration."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
        else:
            for each in value.values():
                yield from _sources(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _sources(each)


def _ways_from(
    name: str, graph: _Graph, uses: Mapping[int, int]
) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """Followers and readers of a convolution's channels; None if they do not end inside."""
    followers, readers, waiting = [], [], [name]
    while waiting:
        name = waiting.pop()
        if name in graph.ends or not graph.readers[name]:
            return None
        for reader in graph.readers[name]:
            layer = graph.operations[reader]
            if uses[id(layer)] != 1:
                return None
            if _mixes_channels(layer):
                readers.append(layer)
            elif _keeps_channels_apart(layer):
                followers.append(layer)
                waiting.append(reader)
            else:
                return None
    return tuple(followers), tuple(readers)


def _prunable(layer: Any) -> bool:
    import keras

    return (
        type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D)
        and _mixes_channels(layer)
        and layer.activation in _elementwise()
    )


def _has_units(layer: Any) -> bool:
    import keras

    return type(layer) is keras.layers.Dense and layer.activation in _elementwise()


def _mixes_channels(layer: Any) -> bool:
    """Whether each output reads all input channels, along the last but one axis of a kernel."""
    import keras

    if type(layer) is keras.layers.Dense:
        return True
    return (
        type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D)
        and layer.groups == 1
        and layer.data_format == "channels_last"
    )


def _keeps_channels_apart(layer: Any) -> bool:
    """Whether each output channel depends only on the same input channel.

    A layer of this package declares it by an attribute ``channel_wise``.
    """
    from keras import layers

    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    if isinstance(layer, layers.BatchNormalization):
        return layer.axis in (-1, layer.input_spec.ndim - 1)
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return layer.depth_multiplier == 1 and layer.activation in _elementwise()
    if isinstance(layer, layers.Activation):
        return layer.activation in _elementwise()
    plain = (
        *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.Identity),
        *(layers.ReLU, layers.LeakyReLU, layers.ELU),
        *(layers.MaxPooling1D, layers.MaxPooling2D),
        *(layers.AveragePooling1D, layers.AveragePooling2D),
        *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D),
        *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D),
        *(layers.ZeroPadding1D, layers.ZeroPadding2D),
        *(layers.Cropping1D, layers.Cropping2D),
        *(layers.UpSampling1D, layers.UpSampling2D),
    )
    return isinstance(layer, plain) or getattr(layer, "channel_wise", False)


def _elementwise() -> tuple[Any, ...]:
    """Elementwise activations, unlike softmax."""
    from keras import activations

    return (
        *(activations.linear, activations.relu, activations.relu6, activations.leaky_relu),
        *(activations.sigmoid, activations.hard_sigmoid, activations.tanh),
        *(activations.silu, activations.hard_silu, activations.gelu, activations.mish),
        *(activations.elu, activations.selu, activations.softplus, activations.softsign),
    )


def _kernel(layer: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(layer.kernel)


def _rebuilt(model: Any, outputs: Mapping[int, np.ndarray], copies: dict[int, Any]) -> keras.Model:
    """A functional model of new layers, with the filters given in ``outputs``.

    Args:
        copies: id of a layer -> its copy, so that a layer shared by two models is copied once.
    """
    import keras

    def copy(layer: Any) -> Any:
        if id(layer) not in copies:
            copies[id(layer)] = fresh(layer)
        return copies[id(layer)]

    def fresh(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # a plain operation has no state
        if _is_open(layer):
            return _rebuilt(layer, outputs, copies)
        config = layer.get_config()
        for size in {"filters", "units"} & config.keys() if id(layer) in outputs else ():
            config[size] = len(outputs[id(layer)])
        made = type(layer).from_config(config)
        made.name = layer.name  # some Keras Hub layers extend it
        return made

    return keras.models.clone_model(model, clone_function=copy)


def _fill(
    model: Any, narrow: Any, outputs: Mapping[int, np.ndarray], inputs: Mapping[int, np.ndarray]
) -> None:
    """Copy each layer's weights to the layer of the same name, without removed channels."""
    for layer in model.layers:
        if _is_open(layer):
            _fill(layer, narrow.get_layer(layer.name), outputs, inputs)
        elif layer.weights:
            rows, columns = inputs.get(id(layer)), outputs.get(id(layer))
            narrow.get_layer(layer.name).set_weights(
                [_cut(value, layer, rows, columns) for value in layer.get_weights()]
            )


def _cut(
    value: np.ndarray, layer: Any, rows: np.ndarray | None, columns: np.ndarray | None
) -> np.ndarray:
    """The remaining part of a weight: a kernel (..., inputs, outputs) or a vector (outputs,)."""
    if value.ndim > 1 and rows is not None:
        value = value.take(rows, axis=-2)
    one_each = value.ndim > 1 and hasattr(layer, "depth_multiplier")  # (..., channels, 1)
    if columns is not None and not one_each:
        value = value.take(columns, axis=-1)
    return value
