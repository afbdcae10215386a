"""Feature pyramids over any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import levels, strides_of


def level_maps(
    backbone: keras.Model, image: Any, strides: Sequence[int], *, filters: int
) -> list[Any]:
    """The backbone's map of each stride; missing ones are derived from the nearest.

    Args:
        backbone: model with layers named ``stride_N``.
        image: the input (batch, height, width, 3).
        strides: from fine to coarse, each twice the previous one.
        filters: channels of the derived maps.

    Returns:
        For each stride (batch, rows, columns, channels).
    """
    known = strides_of(backbone)
    taken = [stride for stride in strides if stride in known]
    # At least one level comes from the backbone itself.
    taken = taken or [known[-1] if known[-1] < strides[0] else known[0]]
    outputs = levels(backbone, taken)(image)
    maps = dict(zip(taken, outputs, strict=True))
    while max(maps) < strides[-1]:
        stride = 2 * max(maps)
        maps[stride] = convolution(maps[stride // 2], filters, stride=2, name=f"further_{stride}")
    while min(maps) > strides[0]:
        stride = min(maps) // 2
        larger = layers.UpSampling2D(2, name=f"finer_{stride}_enlarge")(maps[2 * stride])
        maps[stride] = convolution(larger, filters, name=f"finer_{stride}")
    return [maps[stride] for stride in strides]


def feature_pyramid(maps: Sequence[Any], filters: int, *, strides: Sequence[int]) -> list[Any]:
    """Top-down pathway: coarse features are added to finer ones (Lin et al. 2017a, figure 3).

    Args:
        maps: of each stride, from fine to coarse: (batch, rows, columns, channels).
        filters: channels of the output maps.
        strides: strides of the maps, for layer names.
    """
    laterals = [
        convolution(x, filters, width=1, name=f"lateral_{stride}")
        for x, stride in zip(maps, strides, strict=True)
    ]
    found = [laterals[-1]]
    for lateral, stride in zip(laterals[-2::-1], strides[-2::-1], strict=True):
        above = _enlarged(found[0], lateral.shape[1:3], name=f"enlarge_{stride}")
        found.insert(0, layers.Add(name=f"add_{stride}")([lateral, above]))
    return [
        convolution(x, filters, name=f"pyramid_{stride}")
        for x, stride in zip(found, strides, strict=True)
    ]


def path_aggregation(maps: Sequence[Any], filters: int, *, strides: Sequence[int]) -> list[Any]:
    """Bottom-up pathway: fine features are added to coarser ones (Liu et al. 2018, sec. 3.1)."""
    found = [maps[0]]
    for x, stride in zip(maps[1:], strides[1:], strict=True):
        below = convolution(found[-1], filters, stride=2, name=f"shrink_{stride}")
        below = _cut(below, x.shape[1:3], name=f"shrink_{stride}_cut")
        joined = layers.Add(name=f"join_{stride}")([x, below])
        found.append(convolution(joined, filters, name=f"path_{stride}"))
    return found


def map_shapes(maps: Sequence[Any]) -> list[tuple[int, int]]:
    """Rows and columns of each map."""
    return [(x.shape[1], x.shape[2]) for x in maps]


def _enlarged(x: Any, shape: tuple[int, int], *, name: str) -> Any:
    """Upsample by two, cropped to a shape that was not divisible."""
    return _cut(layers.UpSampling2D(2, name=name)(x), shape, name=f"{name}_cut")


def _cut(x: Any, shape: tuple[int, int], *, name: str) -> Any:
    spare = (x.shape[1] - shape[0], x.shape[2] - shape[1])
    if not any(spare):
        return x
    return layers.Cropping2D([(0, spare[0]), (0, spare[1])], name=name)(x)
