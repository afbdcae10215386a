"""Input of every image model: a uint8 image, scaled to the range of its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor

#: Channel statistics of ImageNet: red, green and blue from 0 to 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)


def image_input(size: tuple[int, int]) -> keras.KerasTensor:
    """``image``: uint8 (batch, height, width, 3), RGB from 0 to 255."""
    return keras.Input((*size, 3), dtype="uint8", name="image")


@keras.saving.register_keras_serializable("aitk.vision")
class Normalise(keras.layers.Layer):
    """Subtract the mean of each channel and divide by its deviation, in float32.

    Part of the model, so that every exported format reads plain images.
    """

    vectorizes = True  # see ``core.privacy.private``

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        deviation: Sequence[float] = IMAGENET_DEVIATION,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mean = tuple(float(value) for value in mean)
        self.deviation = tuple(float(value) for value in deviation)

    def call(self, image: Tensor) -> Tensor:
        # (batch, height, width, 3) uint8 -> the same in the compute dtype
        scale = [1 / value for value in self.deviation]
        offset = [-mean / value for mean, value in zip(self.mean, self.deviation, strict=True)]
        x = ops.cast(image, "float32") * ops.convert_to_tensor(scale, "float32")
        return ops.cast(x + ops.convert_to_tensor(offset, "float32"), self.compute_dtype)

    def compute_output_spec(self, image: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(image.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": self.mean, "deviation": self.deviation}
