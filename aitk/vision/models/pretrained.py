"""Adapts pretrained sources to images: input, scaling, native size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

USUAL_SIZE = (224, 224)


def adopt(found: Pretrained) -> Pretrained:
    """The source with the input of the image models here."""
    if found.backbone is None:
        return found
    if found.kind in ("run", "keras"):
        from aitk.vision.models.backbones.feature_maps import last_map

        return dataclasses.replace(found, backbone=last_map(found.backbone))
    return _adopt_hub(found)


def _adopt_hub(found: Pretrained) -> Pretrained:
    from aitk.vision.models.backbones import hub
    from aitk.vision.models.input_scaling import IMAGENET_DEVIATION, IMAGENET_MEAN

    converter, skipped = _converter(found)
    mean: Sequence[float] = IMAGENET_MEAN
    deviation: Sequence[float] = IMAGENET_DEVIATION
    settings: dict[str, Any] = {}
    if converter is not None:
        mean, deviation = _scaling(converter)
        settings["fit"] = _fit(converter)
    size = _size(found.backbone, converter)
    settings["image_size"] = "x".join(str(side) for side in size)
    return dataclasses.replace(
        found,
        backbone=hub.wrap(found.backbone, size, mean=mean, deviation=deviation),
        settings=settings,
        skipped=(*found.skipped, *skipped),
    )


def _converter(found: Pretrained) -> tuple[Any, list[tuple[str, str]]]:
    """The converter that applies the network's training preprocessing."""
    import keras_hub

    try:
        converter = keras_hub.layers.ImageConverter.from_preset(str(found.folder))
    except (ValueError, KeyError, OSError):
        converter = None
    if converter is None:
        reason = "not included with the weights; using ImageNet's mean and deviation"
        return None, [("scaling of images", reason)]
    return converter, []


def _scaling(converter: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """``x * scale + offset`` as a mean to subtract and a deviation to divide by."""
    scale = np.broadcast_to(1.0 if converter.scale is None else converter.scale, 3).astype(float)
    offset = np.broadcast_to(0.0 if converter.offset is None else converter.offset, 3)
    return tuple((-offset / scale).tolist()), tuple((1 / scale).tolist())


def _fit(converter: Any) -> str:
    if converter.crop_to_aspect_ratio:
        return "crop"
    return "letterbox" if converter.pad_to_aspect_ratio else "stretch"


def _size(backbone: Any, converter: Any) -> tuple[int, int]:
    """The input size of the network, or its training size."""
    height, width = backbone.input.shape[1:3]
    if height and width:
        return height, width
    if converter is not None and converter.image_size is not None:
        height, width = converter.image_size
        return int(height), int(width)
    return USUAL_SIZE
