"""Quantisation-aware training: the rounded network is what its LiteRT file computes."""

import keras
import numpy as np
import pytest

from aitk.core.compression.fake_quantization import (
    FakeQuantization,
    KernelRounding,
    quantized_layers,
    with_fake_quantization,
)
from aitk.core.compression.litert_file import write_litert
from aitk.core.contract.errors import UsageError


@pytest.fixture(scope="module")
def model():
    """A convolution, a depthwise one and a sum inside of a backbone, with a head on it."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.Add(name="sum")([x, y])
    backbone = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(y), name="backbone")
    outputs = layers.Dense(4, name="head")(backbone(image))
    model = keras.Model(image, outputs)
    moments = [np.linspace(lowest, 1.5, 8) for lowest in (0.5, -0.5, -0.5, 0.5)]
    backbone.get_layer("norm").set_weights(moments)
    return model


def test_the_int8_file_has_the_scales_and_outputs_of_the_training(model, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    rounded = with_fake_quantization(model)
    names = {each.name for each in rounded._flatten_layers() if isinstance(each, FakeQuantization)}
    stored = ("relu", "depthwise", "sum", "pool", "head")  # first and norm are fused with relu
    assert names == {f"{name}_rounded" for name in stored}
    KernelRounding(rounded)
    images = np.random.default_rng(0).uniform(-1, 1, (16, 8, 8, 3)).astype(np.float32)
    rounded.get_layer("backbone").get_layer("norm").trainable = False
    rounded(images, training=True)
    path = tmp_path / "model.tflite"
    write_litert(rounded, path, scheme="static", calibration=[{"image": images[:1]}])
    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner("batch_any")
    (found,) = runner(image=images).values()
    wanted = np.asarray(rounded(images, training=False))
    step = np.ptp([float(value) for value in rounded.get_layer("head_rounded").weights[:2]]) / 255
    assert np.abs(found - wanted).max() <= 1.01 * step
    kinds = {each["dtype"] for each in interpreter.get_tensor_details()}
    scales = {
        round(float(scale), 7)
        for each in interpreter.get_tensor_details()
        for scale in each["quantization_parameters"]["scales"]
    }
    assert np.int8 in kinds
    low, high, _ = rounded.get_layer("backbone").get_layer("sum_rounded").get_weights()
    assert round(float(max(high, 0) - min(low, 0)) / 255, 7) in scales
    kernel = rounded.get_layer("head").get_weights()[0]
    assert {round(float(each) / 127, 7) for each in np.abs(kernel).max(axis=0)} <= scales


def test_small_changes_add_up_until_a_rounded_weight_moves(model):
    copied = with_fake_quantization(model)
    rounding = KernelRounding(copied)
    layer = copied.get_layer("head")
    start = layer.get_weights()[0]
    step = np.abs(start).max(axis=0) / 127
    np.testing.assert_allclose(start / step, np.round(start / step), atol=1e-3)
    place = np.unravel_index(np.abs(start).argmin(), start.shape)  # which sets no scale
    moved = []
    for number in range(1, 5):
        kernel = layer.get_weights()[0]
        kernel[place] += 0.3 * step[place[1]]
        layer.set_weights([kernel, layer.get_weights()[1]])
        rounding.after_step(number)
        moved.append((layer.get_weights()[0][place] - start[place]) / step[place[1]])
    first = (model.get_layer("head").get_weights()[0][place] - start[place]) / step[place[1]]
    wanted = np.round(first + 0.3 * np.arange(1, 5))
    assert np.round(moved, 3).tolist() == wanted.tolist()


def test_pruned_weights_stay_zero(model):
    copied = with_fake_quantization(model)
    layer = copied.get_layer("head")
    kernel, bias = layer.get_weights()
    kernel[0] = 0
    layer.set_weights([kernel, bias])
    rounding = KernelRounding(copied, zeros_stay=True)
    layer.set_weights([layer.get_weights()[0] + 0.5, bias])
    rounding.after_step(1)
    assert (layer.get_weights()[0][0] == 0).all() and (layer.get_weights()[0][1:] != 0).any()
    assert len(quantized_layers(copied)) == 3


def test_a_network_without_convolutions_is_refused():
    image = keras.Input((4,))
    with pytest.raises(UsageError, match="convolutions only"):
        with_fake_quantization(keras.Model(image, keras.layers.Dense(2)(image)))
