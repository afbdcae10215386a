"""Low-rank adaptation (Hu et al. 2021): train small factors next to frozen weights, then merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import keras


def add_adapters(backbone: keras.Model, *, rank: int) -> int:
    """Give every dense layer of the backbone a trainable low-rank term and freeze the rest.

    Returns:
        The number of adapted layers.

    Raises:
        UsageError: the backbone has no suitable layer.
    """
    import keras

    adapted = 0
    for layer in backbone._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense):
            if min(layer.kernel.shape[0], layer.kernel.shape[-1]) >= rank:
                layer.enable_lora(rank)
                adapted += 1
        elif layer.weights and not list(layer._flatten_layers(include_self=False)):
            layer.trainable = False
    if not adapted:
        raise UsageError(
            "this model has no dense layer to adapt", where="--lora-rank", hint="Train it in full"
        )
    for layer in backbone._flatten_layers(include_self=False, recursive=True):
        if getattr(layer, "lora_enabled", False):
            for variable in layer.trainable_variables:
                variable.trainable = "lora" in variable.path
    return adapted


def merged_copy(model: keras.Model, config: dict) -> keras.Model:
    """An equivalent model without adapters.

    Args:
        model: the trained model with adapters.
        config: its ``get_config()`` before they were added.
    """
    import keras

    values = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if getattr(layer, "lora_enabled", False):
            values[layer._kernel.path] = keras.ops.convert_to_numpy(layer.kernel)
    plain = type(model).from_config(config)
    for weight in plain.weights:
        weight.assign(values[weight.path])
    return plain
