"""What networks in stages share: the first layers, and a convolution with its normalisation."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.batch_norm import FusedBatchNormalization
from aitk.vision.models.input_scaling import Normalise

#: Keras' default of 0.99 lags behind the weights for hundreds of steps.
MOMENTUM = 0.9


def stem(picture: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    """Scale the picture and take ``stride`` pixels as one -> (batch, h / stride, w / stride, f).

    Stride 4 is a strided convolution and a pooling, as in networks for large pictures.
    """
    x = Normalise(name="normalise")(picture)
    x = convolution(x, filters, stride=min(stride, 2), name="stem")
    if stride == 4:
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    return x


def convolution(
    x: keras.KerasTensor,
    filters: int,
    *,
    name: str,
    width: int = 3,
    stride: int = 1,
    activation: str | None = "relu",
    last: str | None = None,
) -> keras.KerasTensor:
    """A convolution, batch normalisation (Ioffe and Szegedy 2015) and an activation.

    ``last`` names the last layer, where it ends a stage.
    """
    x = keras.layers.Conv2D(
        filters,
        width,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = FusedBatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=f"{name}_norm")(x)
    if activation is None:
        return x
    return keras.layers.Activation(activation, name=last or f"{name}_{activation}")(x)
