"""Quantisation-aware training: a network computes with the rounded numbers of its int8 file.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3. Kernels have 255 values, symmetric about 0, with a
scale for each output channel; activations 256 values between a moving minimum and maximum.
Gradients pass the rounding unchanged (straight-through, Bengio et al. 2013).

LiteRT folds batch normalisation into kernels. That multiplies each output channel, and its scale,
by one number, so that the rounded kernels of both are the same.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.compression.graphs import float32_layers
from aitk.core.contract.errors import UsageError
from aitk.core.layers import Shape, Tensor

#: Largest integer of a symmetric 8-bit kernel.
LARGEST = 127
#: Momentum of the ranges of activations: what a hundred batches showed.
MOMENTUM = 0.99
#: Layers with a kernel that becomes int8.
KERNELS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
)
#: Layers that a converter fuses with the kernel before them: what lies between is never stored.
FUSED = (keras.layers.BatchNormalization, keras.layers.ReLU, keras.layers.Activation)
#: Layers whose outputs are some of the values of their inputs.
PASSING = (
    keras.layers.InputLayer,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.MaxPooling2D,
    keras.layers.Reshape,
    keras.layers.ZeroPadding2D,
)


@keras.saving.register_keras_serializable("aitk.core")
class FakeQuantization(keras.layers.Layer):
    """Round values to 256 steps between a minimum and a maximum, which training follows.

    The steps include 0 exactly (Jacob et al. 2018, section 3.1). Gradients pass where values lie
    inside of the range.
    """

    def __init__(self, **kwargs: Any):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, shape: Shape) -> None:
        self.low = self._range("low")
        self.high = self._range("high")
        self.batches = self._range("batches")

    def call(self, values: Tensor, training: bool = False) -> Tensor:
        if training:
            # The first batches count alike, later ones by the momentum.
            share = ops.minimum(MOMENTUM, self.batches / (self.batches + 1))
            for kept, seen in ((self.low, ops.min(values)), (self.high, ops.max(values))):
                kept.assign(kept * share + ops.stop_gradient(seen) * (1 - share))
            self.batches.assign(self.batches + 1)
        return fake_quantize(values, self.low, self.high)

    def compute_output_spec(self, values: Any, training: bool = False) -> Any:
        return keras.KerasTensor(values.shape, dtype=self.compute_dtype)

    def _range(self, name: str) -> Any:
        return self.add_weight(shape=(), initializer="zeros", trainable=False, name=name)


def fake_quantize(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values rounded to one of 256 numbers between ``low`` and ``high``, 0 among them."""
    import tensorflow as tf

    # Converters read the range of a tensor from this operation.
    return tf.quantization.fake_quant_with_min_max_vars(
        values, tf.minimum(tf.convert_to_tensor(low), 0.0),
        tf.maximum(tf.convert_to_tensor(high), 1e-6), num_bits=8,
    )  # fmt: skip


class KernelRounding:
    """Keeps the kernels of a network on their 255 values while it is trained.

    The optimizer's changes of the rounded kernels are added to kernels in float32, which are
    rounded again (Courbariaux et al. 2015, BinaryConnect): the gradient is that at the rounded
    values, without a change to any layer.

    Args:
        model: the network; its kernels are rounded at once.
        zeros_stay: keep what pruning set to zero.

    Attributes:
        masks: the kernels in float32 and as rounded: part of the state of a training.
    """

    def __init__(self, model: keras.Model, *, zeros_stay: bool = False):
        self._layers = quantized_layers(model)
        kernels = [np.asarray(kernel_of(layer)) for layer in self._layers]
        self._kept = [kernel != 0 for kernel in kernels] if zeros_stay else None
        self._exact = [_variable(kernel_of(layer)) for layer in self._layers]
        self._rounded = [_variable(kernel_of(layer)) for layer in self._layers]
        self.masks = [*self._exact, *self._rounded]
        self._round()

    def after_step(self, step: int) -> None:
        """Add what this step changed to the kernels in float32, and round them again."""
        del step
        for layer, exact, rounded in zip(self._layers, self._exact, self._rounded, strict=True):
            exact.assign(exact + (kernel_of(layer) - rounded))
        self._round()

    def _round(self) -> None:
        if self._kept is not None:
            for exact, kept in zip(self._exact, self._kept, strict=True):
                exact.assign(exact * ops.cast(kept, exact.dtype))
        for layer, exact, rounded in zip(self._layers, self._exact, self._rounded, strict=True):
            rounded.assign(round_kernel(exact, axes=reduced_axes(layer)))
            kernel_of(layer).assign(rounded)


def round_kernel(kernel: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    """A kernel on 255 values from -s to s, s being the largest magnitude over the axes."""
    scale = ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True) / LARGEST, 1e-12)
    return ops.round(kernel / scale) * scale


def reduced_axes(layer: keras.layers.Layer) -> tuple[int, ...]:
    """The axes of a layer's kernel that share a scale: all but those of its output channels."""
    rank = len(kernel_of(layer).shape)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return tuple(range(rank - 2 if depthwise else rank - 1))


def kernel_of(layer: Any) -> Any:
    """The variable of a layer's kernel."""
    return layer._kernel if hasattr(layer, "_kernel") else layer.kernel


def has_fake_quantization(model: keras.Model) -> bool:
    """Whether a network was trained with rounded activations."""
    return any(isinstance(layer, FakeQuantization) for layer in model._flatten_layers())


def quantized_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers whose kernels become int8."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, KERNELS)]


def with_fake_quantization(model: keras.Model) -> keras.Model:
    """A copy of a functional network, nested ones as well, with rounded activations.

    Every output that a converter stores is rounded: not those between a kernel and the
    normalisation or activation that is fused with it, nor copies of rounded values.

    Raises:
        UsageError: it has no convolution, which int8 would make faster, or parts in float32.
    """
    if float32_layers(model):
        raise UsageError("does not train networks that decode boxes", where="--qat")
    kinds = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    if not any(isinstance(layer, kinds) for layer in model._flatten_layers()):
        raise UsageError("trains networks with convolutions only", where="--qat")
    fused = _fused(model)

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        outputs = layer(*arguments, **options)
        if layer.name in fused or isinstance(layer, (keras.Model, *PASSING)):
            return outputs
        if not isinstance(outputs, keras.KerasTensor) or "float" not in outputs.dtype:
            return outputs
        return FakeQuantization(name=f"{layer.name}_rounded")(outputs)

    copied = keras.models.clone_model(model, call_function=call, recursive=True)
    _copy_weights(model, copied)
    return copied


def _fused(model: keras.Model) -> set[str]:
    """The layers whose output goes only into a layer that is fused with them."""
    found: set[str] = set()
    for nested in _functional(model):
        readers: dict[int, list[Any]] = {}
        for nodes in nested._nodes_by_depth.values():
            for node in nodes:
                for parent in node.parent_nodes:
                    readers.setdefault(id(parent), []).append(node.operation)
        for nodes in nested._nodes_by_depth.values():
            for node in nodes:
                following = readers.get(id(node), [])
                carries = isinstance(node.operation, (*KERNELS, keras.layers.BatchNormalization))
                if carries and following and all(isinstance(each, FUSED) for each in following):
                    found.add(node.operation.name)
    return found


def _functional(model: keras.Model) -> list[Any]:
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [model, *(each for layer in nested for each in _functional(layer))]


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    for layer in source.layers:
        copy = target.get_layer(layer.name)
        if isinstance(layer, keras.Model):
            _copy_weights(layer, copy)
        else:
            copy.set_weights(layer.get_weights())


def _variable(kernel: Any) -> keras.Variable:
    return keras.Variable(np.asarray(kernel), dtype="float32", trainable=False)
