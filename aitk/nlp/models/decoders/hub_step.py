"""One token at a time through a Keras Hub decoder, with its own cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


class HubStep:
    """Features and cache of a wrapped Keras Hub backbone (GPT-2, Llama, Mistral, Qwen, ...).

    Keras Hub's task class of the backbone implements the cache of its layers; the cache is one
    array (rows, layers, 2, length, heads, size).
    """

    start_shapes: dict[str, tuple[int | None, ...]] = {}
    memory_shapes: dict[str, tuple[int | None, ...]] = {}

    def __init__(self, task: Any):
        self._task = task
        # One row of two tokens determines the shape.
        _, made = task._build_cache(ops.ones((1, 2), "int32"))
        layers, pair, _, heads, size = made.shape[1:]
        self._sizes = (layers, pair, heads, size)
        self.compute_dtype = keras.backend.standardize_dtype(made.dtype)
        self.cache_shapes = {"cache": (None, layers, pair, None, heads, size)}

    def start(
        self, inputs: Mapping[str, Tensor], rows: Tensor, length: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See ``core.decoding.incremental.Incremental``."""
        layers, pair, heads, size = self._sizes
        shape = (rows, layers, pair, length, heads, size)
        return {}, {"cache": ops.zeros(shape, self.compute_dtype)}

    def step(
        self,
        token_ids: Tensor,
        place: Tensor | int,
        memory: Mapping[str, Tensor],
        cache: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of the new tokens (rows, new, hidden), and the cache."""
        _, features, kept = self._task.call_with_cache(token_ids, cache["cache"], place)
        return features, {"cache": kept}


def open_hub_step(backbone: keras.Model) -> HubStep | None:
    """The step of a backbone that wraps a Keras Hub decoder; None where Keras Hub has none."""
    families = [type(layer).__mro__ for layer in backbone.layers]
    if not any(each.__module__.startswith("keras_hub") for family in families for each in family):
        return None
    import keras_hub

    named: list[Any] = list(vars(keras_hub.models).values())
    tasks: list[Any] = [
        task
        for task in named
        if isinstance(task, type)
        and issubclass(task, keras_hub.models.CausalLM)
        and hasattr(task, "call_with_cache")
    ]
    for layer in backbone.layers:
        family = type(layer).__mro__
        own = [task for task in tasks if task.backbone_cls in family]
        if own:  # of several, the one for the most derived class: Llama 3 is a Llama
            places = [family.index(task.backbone_cls) for task in own]
            nearest = own[places.index(min(places))]
            return HubStep(nearest(backbone=layer, preprocessor=None))
    return None
