"""Take heads, feed-forward units and whole layers out of a transformer.

Heads go by their importance over the whole network, at least one a layer staying (Michel, Levy and
Neubig 2019); units by theirs inside of each layer (``taylor``). Layers go one after the other, the
one first without which the loss rises least (Peer et al. 2022, "Greedy-layer pruning").
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.compression.pruning.channels import inner_units, without_channels
from aitk.core.compression.pruning.rebuilding import changed, layers_of, opened, rebuild
from aitk.core.compression.pruning.taylor import Groups, importances, mean_loss
from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Batch

if TYPE_CHECKING:
    import keras

#: Units that a feed-forward part keeps.
LEAST_UNITS = 8


@dataclass(frozen=True)
class Removed:
    """What was taken out."""

    heads: int = 0
    units: int = 0
    layers: int = 0

    def counts(self) -> dict[str, int]:
        """What was taken out at all, by name."""
        parts = {"heads": self.heads, "units": self.units, "layers": self.layers}
        return {name: count for name, count in parts.items() if count}

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in self.counts().items())


def prune_transformer(
    model: keras.Model,
    loss: Any,
    batches: Sequence[Batch],
    *,
    heads: float = 0.0,
    units: float = 0.0,
    layers: float = 0.0,
) -> tuple[keras.Model, Removed]:
    """The same network without the least important parts.

    Args:
        model: functional; models nested in it are pruned along.
        loss: that it was trained with.
        batches: training rows with their targets, on which importance is measured.
        heads, units, layers: the share of each that is taken out, from 0 to 1.

    Returns:
        The smaller model, and what it lost.

    Raises:
        UsageError: it has no such parts, or none to spare.
    """
    model = opened(model)
    lost = {"layers": 0, "heads": 0, "units": 0}
    if layers:
        model, lost["layers"] = _without_layers(model, loss, batches, share=layers)
    if heads:
        model, lost["heads"] = _without_heads(model, loss, batches, share=heads)
    if units:
        model, lost["units"] = _without_units(model, loss, batches, share=units)
    return model, Removed(**lost)


def prunable_parts(model: keras.Model) -> set[str]:
    """Which of ``heads``, ``units`` and ``layers`` a model can lose."""
    model = opened(model)
    layers = list(layers_of(model))
    blocks = [layer for layer in layers if _is_block(layer)]
    parts = {"heads"} if any(map(_has_heads, layers)) else set()
    parts |= {"units"} if blocks or inner_units(model) else set()
    return parts | ({"layers"} if len(blocks) > 1 else set())


def _without_layers(
    model: keras.Model, loss: Any, batches: Sequence[Batch], *, share: float
) -> tuple[keras.Model, int]:
    from aitk.core.layers.narrow_encoder import Bypass

    blocks = [layer for layer in layers_of(model) if _is_block(layer)]
    count = min(round(share * len(blocks)), len(blocks) - 1)
    if count < 1:
        raise UsageError(
            f"a share of {share:g} takes none of {len(blocks)} transformer blocks",
            where="--prune-layers",
            hint="Only models made of whole blocks lose layers; try --prune-heads, --prune-units",
        )
    left = list(blocks)
    gone: list[Any] = []
    for _ in range(count):
        losses = []
        for block in left:
            with _skipped([*gone, block]):
                losses.append(mean_loss(model, loss, batches))
        gone.append(left.pop(int(np.argmin(losses))))
    replaced = {id(block): lambda layer: Bypass(name=layer.name) for block in gone}
    return rebuild(model, replaced, {}), count


class _skipped:
    """Blocks hand their input on for a while."""

    def __init__(self, blocks: Sequence[Any]):
        self._blocks = blocks

    def __enter__(self) -> None:
        for block in self._blocks:
            block.call = lambda sequence, *args, **kwargs: sequence

    def __exit__(self, *error: object) -> None:
        for block in self._blocks:
            del block.call


def _without_heads(
    model: keras.Model, loss: Any, batches: Sequence[Batch], *, share: float
) -> tuple[keras.Model, int]:
    attentions = [layer for layer in layers_of(model) if _has_heads(layer)]
    total = sum(layer.heads for layer in attentions)
    if not attentions:
        raise UsageError(
            "this model has no attention whose heads can be taken out",
            where="--prune-heads",
            hint="Try --prune-units or --prune",
        )
    groups = [Groups((layer.output_dense.kernel,), layer.heads) for layer in attentions]
    found = importances(model, loss, batches, groups)
    # On a common scale: each layer's by their length (Molchanov et al. 2017, section 2.2).
    scores = [each / max(float(np.linalg.norm(each)), 1e-30) for each in found]
    kept = _kept_overall(scores, count=round(share * total))
    lost = total - sum(map(len, kept))
    if not lost:
        raise UsageError(
            f"a share of {share:g} takes none of {total} heads",
            where="--prune-heads",
            hint="One a layer stays",
        )
    fewer = {
        id(layer): places for layer, places in zip(attentions, kept, strict=True)
        if len(places) < layer.heads
    }  # fmt: skip
    copies: dict[int, Any] = {}
    replaced: dict[int, Callable[[Any], Any]] = {
        key: (functools.partial(_with_heads, places=places)) for key, places in fewer.items()
    }
    weights = {
        id(layer): _head_weights(layer, fewer[id(layer)])
        for layer in attentions
        if id(layer) in fewer
    }
    return rebuild(model, replaced, copies, weights), lost


def _kept_overall(scores: Sequence[np.ndarray], *, count: int) -> list[np.ndarray]:
    """The places that stay where the ``count`` smallest scores of all go, one a layer staying."""
    ranked = sorted(
        (float(score), layer, place)
        for layer, each in enumerate(scores)
        for place, score in enumerate(each)
    )
    gone: dict[int, set[int]] = {layer: set() for layer in range(len(scores))}
    for _, layer, place in ranked:
        if sum(map(len, gone.values())) == count:
            break
        if len(gone[layer]) + 1 < len(scores[layer]):
            gone[layer].add(place)
    return [
        np.array([place for place in range(len(each)) if place not in gone[layer]])
        for layer, each in enumerate(scores)
    ]


def _without_units(
    model: keras.Model, loss: Any, batches: Sequence[Batch], *, share: float
) -> tuple[keras.Model, int]:
    blocks = [layer for layer in layers_of(model) if _is_narrow(layer)]
    pairs = inner_units(model)
    groups = [Groups((layer.out_dense.kernel,), layer.width) for layer in blocks]
    groups += [
        Groups([reader.kernel for reader in pair.readers], pair.layer.units) for pair in pairs
    ]
    if not groups:
        raise UsageError(
            "this model has no dense layers whose units other layers could do without",
            where="--prune-units",
            hint="Try --prune-channels or --prune",
        )
    kept = []
    for found in importances(model, loss, batches, groups):
        lost = max(0, min(round(share * len(found)), len(found) - LEAST_UNITS))
        kept.append(np.sort(np.argsort(found, kind="stable")[lost:]))
    count = sum(group.count - len(places) for group, places in zip(groups, kept, strict=True))
    if not count:
        raise UsageError(
            f"a share of {share:g} takes no unit: {LEAST_UNITS} of each layer stay",
            where="--prune-units",
        )
    in_blocks, in_pairs = kept[: len(blocks)], kept[len(blocks) :]
    if pairs:
        # Blocks are copied as they are; they are found again by their order.
        paths = {pair.path: places for pair, places in zip(pairs, in_pairs, strict=True)}
        model = without_channels(model, paths)
        blocks = [layer for layer in layers_of(model) if _is_narrow(layer)]
    replaced: dict[int, Callable[[Any], Any]] = {}
    weights = {}
    for layer, places in zip(blocks, in_blocks, strict=True):
        replaced[id(layer)] = functools.partial(changed, width=len(places))
        weights[id(layer)] = _unit_weights(layer, places)
    return (rebuild(model, replaced, {}, weights) if blocks else model), count


def _is_block(layer: Any) -> bool:
    """Whether it is a whole transformer block, whose output replaces its input."""
    return _is_narrow(layer)


def _is_narrow(layer: Any) -> bool:
    from aitk.core.layers.narrow_encoder import NarrowEncoder

    return isinstance(layer, NarrowEncoder)


def _has_heads(layer: Any) -> bool:
    """Whether it is attention whose heads have a size of their own; see ``NarrowEncoder``."""
    return hasattr(layer, "heads") and hasattr(layer, "head_size")


def _with_heads(layer: Any, places: np.ndarray) -> Any:
    size = layer.query_dense.kernel.shape[-1] // layer.heads
    return changed(layer, heads=len(places), head_size=size)


def _head_weights(layer: Any, places: np.ndarray) -> dict[str, np.ndarray]:
    """The weights of attention with some of its heads, by path inside of the layer."""
    size = layer.query_dense.kernel.shape[-1] // layer.heads
    columns = (places[:, None] * size + np.arange(size)).ravel()
    cut = {}
    for part in ("query", "key", "value"):
        dense = getattr(layer, f"{part}_dense")
        cut[dense.kernel.path] = dense.kernel.numpy().take(columns, axis=1)
        cut[dense.bias.path] = dense.bias.numpy().take(columns)
    kernel = layer.output_dense.kernel
    return cut | {kernel.path: kernel.numpy().take(columns, axis=0)}


def _unit_weights(layer: Any, places: np.ndarray) -> dict[str, np.ndarray]:
    into, out = layer.in_dense, layer.out_dense
    return {
        into.kernel.path: into.kernel.numpy().take(places, axis=1),
        into.bias.path: into.bias.numpy().take(places),
        out.kernel.path: out.kernel.numpy().take(places, axis=0),
    }
