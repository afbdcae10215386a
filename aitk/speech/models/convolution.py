"""Convolutions over time that ignore padding, and batch normalisation for them.

Keras' "same" padding shifts a strided window by the length of the batch, so zeros are added
explicitly: step j of the output is centred at (or, if causal, ends with) step j * stride of the
input, and the output has ceil(steps / stride) steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from aitk.core.contract.errors import UsageError
from aitk.core.layers import Shape, Tensor
from aitk.core.layers.group_norm import groups_of
from aitk.speech.models.inputs import HidePadding, SubsampleMask

MOMENTUM = 0.9  # Keras' 0.99 lags behind in trainings of a few hundred steps


def convolve(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    filters: int,
    *,
    width: int,
    stride: int = 1,
    dilation: int = 1,
    causal: bool = False,
    name: str,
) -> keras.KerasTensor:
    """Convolve (batch, steps, channels) over time into (batch, ceil(steps / stride), filters)."""
    x = pad_time(x, padding_mask, width=width, dilation=dilation, causal=causal, name=name)
    return keras.layers.Conv1D(
        filters, width, strides=stride, dilation_rate=dilation, use_bias=False, name=name
    )(x)


def convolve_each(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    *,
    width: int,
    causal: bool = False,
    name: str,
) -> keras.KerasTensor:
    """Depthwise convolution of (batch, steps, channels) over time."""
    x = pad_time(x, padding_mask, width=width, dilation=1, causal=causal, name=name)
    return keras.layers.DepthwiseConv1D(width, use_bias=False, name=name)(x)


def pad_time(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    *,
    width: int,
    dilation: int,
    causal: bool,
    name: str,
) -> keras.KerasTensor:
    """Zero the padding of (batch, steps, channels), and pad for windows beyond the ends."""
    x = HidePadding(name=f"{name}_hide_padding")(x, padding_mask)
    total = (width - 1) * dilation
    before = total if causal else total // 2
    return keras.layers.ZeroPadding1D((before, total - before), name=f"{name}_zeros")(x)


def normalise(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    *,
    activation: str | Callable | None,
    name: str,
) -> keras.KerasTensor:
    """Batch normalisation over the real steps only (Ioffe and Szegedy 2015), then activation.

    Args:
        x: (batch, steps, channels) or (batch, steps, filters, channels).
    """
    x = StepNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x, padding_mask)
    if activation is None:
        return x
    return keras.layers.Activation(activation, name=f"{name}_activation")(x)


@keras.saving.register_keras_serializable("aitk.speech")
class StepNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with statistics of the real steps only."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = False  # the mask is an input like any other

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        super().build(sequence_shape)

    def call(self, sequence: Tensor, padding_mask: Tensor, training: bool | None = None) -> Tensor:
        # (batch, steps, ..., channels), (batch, steps) -> the same shape as the sequence
        axes = tuple(range(2, len(sequence.shape) - 1))
        mask = keras.ops.expand_dims(keras.ops.cast(padding_mask, "bool"), axes)
        return super().call(sequence, training=training, mask=mask)

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape


@keras.saving.register_keras_serializable("aitk.speech")
class StepGroupNormalization(keras.layers.Layer):
    """Group normalisation (Wu and He 2018) whose statistics are those of a row's real steps."""

    def __init__(self, groups: int, epsilon: float = 1e-3, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = False  # the mask is an input like any other
        self.groups, self.epsilon = groups, epsilon

    def build(self, sequence_shape: Shape, padding_mask_shape: Shape | None = None) -> None:
        channels = (sequence_shape[-1],)
        self.gamma = self.add_weight(shape=channels, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=channels, initializer="zeros", name="beta")

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, steps, ..., channels), (batch, steps) -> the same shape as the sequence
        ops = keras.ops
        shape = ops.shape(sequence)
        size = sequence.shape[-1] // self.groups
        x = ops.reshape(ops.cast(sequence, "float32"), (shape[0], shape[1], -1, self.groups, size))
        real = ops.cast(padding_mask, "float32")[:, :, None, None, None]
        over = (1, 2, 4)
        count = ops.maximum(ops.sum(real * ops.ones_like(x), axis=over, keepdims=True), 1.0)
        mean = ops.sum(x * real, axis=over, keepdims=True) / count
        variance = ops.sum(ops.square(x - mean) * real, axis=over, keepdims=True) / count
        x = (x - mean) * ops.rsqrt(variance + self.epsilon)
        x = ops.cast(ops.reshape(x, shape), sequence.dtype)
        return x * ops.cast(self.gamma, x.dtype) + ops.cast(self.beta, x.dtype)

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"groups": self.groups, "epsilon": self.epsilon}


def step_group_normalization(layer: keras.layers.BatchNormalization) -> keras.layers.Layer:
    """What stands for a layer of batch normalisation in a backbone with group normalisation."""
    groups = groups_of(layer.gamma.shape[0])
    return StepGroupNormalization(groups, epsilon=layer.epsilon, name=layer.name)


def subsample(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    filters: int,
    *,
    factor: int,
    causal: bool = False,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Front end of an encoder: strided convolutions that reduce the rate by ``factor``.

    Args:
        x: (batch, frames, dimensions).
        factor: a power of two; 1 keeps the rate.

    Returns:
        (batch, ceil(frames / factor), filters), and the mask of these steps.

    Raises:
        UsageError: the factor is not a power of two.
    """
    strides = [2] * halvings(factor) or [1]
    for index, stride in enumerate(strides):
        name = f"subsample_{index}"
        x = convolve(x, padding_mask, filters, width=3, stride=stride, causal=causal, name=name)
        padding_mask = SubsampleMask(stride, name=f"{name}_mask")(padding_mask)
        x = normalise(x, padding_mask, activation="relu", name=name)
    return x, padding_mask


def halvings(factor: int) -> int:
    """The number of halvings that reduce the rate by ``factor``.

    Raises:
        UsageError: the factor is not a power of two.
    """
    if factor & (factor - 1):
        raise UsageError(
            f"subsampling is {factor}", where="--set subsampling", hint="Use 1, 2, 4 or 8"
        )
    return factor.bit_length() - 1


@keras.saving.register_keras_serializable("aitk.speech")
def swish(x: Tensor) -> Tensor:
    """x * sigmoid(x) (Ramachandran et al. 2017), without TensorFlow's custom gradient, which
    converted models cannot contain.

    It is in this file because a saved model records the module of its layers, but not that of its
    activations: ``StepNormalization`` imports it on loading.
    """
    return x * keras.ops.sigmoid(x)
