"""Masked-image models, on any backbone that can process part of an image."""

from __future__ import annotations

from typing import Any

import keras

from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.mae import ENCODER, fill_in_tokens
from aitk.vision.models.spark import fill_in_map


@keras.saving.register_keras_serializable("aitk.vision")
class MaskedImageModel(keras.Model):
    """Backbone, decoder and pixel predictions.

    Inputs: ``image`` (batch, height, width, 3) uint8 and ``visible`` (batch, shown) int32, the
    numbers of the visible patches, row by row. Output: (batch, height, width, 3) float32, each
    patch with mean 0 and variance 1.

    A subclass of its own, because the graph uses inner parts of the backbone, which a plain
    functional model would not list as one layer.

    Args:
        backbone: ``models.vit``, or convolutions with batch normalisation.
        patch: patch size in pixels, a multiple of the stride of the last map.
        shown: number of visible patches.
        width: channels of the decoder.
        layers: number of decoder layers.
    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        patch: int,
        shown: int,
        width: int,
        layers: int,
        **kwargs: Any,
    ):
        size = backbone.input_shape[1:3]
        image = image_input(size)
        visible = keras.Input((shown,), dtype="int32", name="visible")
        decoder = {"width": width, "layers": layers}
        if is_transformer(backbone):
            x = fill_in_tokens(backbone, image, visible, **decoder)
        else:
            grid = (size[0] // patch, size[1] // patch)
            x = fill_in_map(backbone, image, visible, grid=grid, **decoder)
        stride = size[0] // x.shape[1]
        # One linear map from the vector of a position to all its pixels.
        pixels = keras.layers.Conv2DTranspose(
            3, stride, strides=stride, dtype="float32", name="pixels"
        )(x)
        super().__init__({"image": image, "visible": visible}, pixels, **kwargs)
        self.backbone = backbone
        self._made = {"patch": patch, "shown": shown, **decoder}

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers of the graph and the backbone, which ``finetune`` looks up by name."""
        backbone = getattr(self, "backbone", None)
        return [*super().layers, *([backbone] if backbone is not None else [])]

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.backbone)
        return {"name": self.name, "backbone": backbone, **self._made}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedImageModel:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**(config | {"backbone": backbone}))


def is_transformer(backbone: keras.Model) -> bool:
    """Whether the backbone processes patches one by one."""
    return any(layer.name == ENCODER for layer in backbone.layers)
