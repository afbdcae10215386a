"""The intermediate feature maps of a backbone, one per resolution.

A backbone names the last layer of each stage by the stride of its map: ``stride_4``, ``stride_8``
and so on. Heads for boxes and masks read several of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

PREFIX = "stride_"


def strides_of(backbone: keras.Model) -> list[int]:
    """The strides at which a backbone has maps, smallest first."""
    named = (layer.name.removeprefix(PREFIX) for layer in backbone.layers)
    return sorted(int(name) for name in named if name.isdigit())


def levels(backbone: keras.Model, strides: Sequence[int]) -> keras.Model:
    """The same network with one output per stride, in the given order.

    Args:
        backbone: model from ``image`` to a map; its layers and weights are shared.
        strides: each one of ``strides_of(backbone)``.

    Returns:
        A functional model named ``backbone`` that returns a list of maps
        (batch, height / stride, width / stride, channels).

    Raises:
        ValueError: the network has no map at one of the strides.
    """
    return keras.Model(
        backbone.input, [_map(backbone, stride) for stride in strides], name="backbone"
    )


def last_map(backbone: keras.Model) -> keras.Model:
    """A backbone with the map of its last stage as its only output."""
    if len(backbone.outputs) == 1 and not isinstance(backbone.output, list | tuple):
        return backbone
    last = _map(backbone, strides_of(backbone)[-1])
    return keras.Model(backbone.input, last, name="backbone")


def _map(backbone: keras.Model, stride: int) -> keras.KerasTensor:
    known = strides_of(backbone)
    if stride not in known:
        raise ValueError(f"no map of stride {stride}, only of {known}")
    return backbone.get_layer(f"{PREFIX}{stride}").output
