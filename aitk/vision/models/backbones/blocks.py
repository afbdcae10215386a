"""Building blocks of staged networks: stem, convolution block, batch normalisation."""

from __future__ import annotations

import keras

from aitk.core.layers import Tensor
from aitk.core.layers.kernels import normalised_batch
from aitk.vision.models.input_scaling import Normalise

#: With Keras' default of 0.99, statistics lag hundreds of steps behind the weights.
MOMENTUM = 0.9


def stem(image: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    """Scale the image and downsample by ``stride`` -> (batch, h / stride, w / stride, f).

    Stride 4 is a strided convolution followed by pooling, as in networks for large images.
    """
    x = Normalise(name="normalise")(image)
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

    ``last`` names the final layer if the block ends a stage.
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


@keras.saving.register_keras_serializable("aitk.vision")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation (Ioffe and Szegedy 2015) with several times the training speed.

    If the backend has a fused kernel, it normalises maps (batch, height, width, channels) in
    training; everything else (inference, masks) and the weights are Keras' own.
    """

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        found = None
        maps = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.scale and self.center
        if training and self.trainable and maps and mask is None:
            found = normalised_batch(inputs, self.gamma, self.beta, epsilon=self.epsilon)
        if found is None:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = found
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        return outputs

    def _follow(self, kept: Tensor, seen: Tensor) -> None:
        kept.assign(kept * self.momentum + seen * (1 - self.momentum))
