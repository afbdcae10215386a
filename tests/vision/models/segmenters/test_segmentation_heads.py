"""The segmentation heads, each on a small backbone of an odd size."""

import numpy as np
import pytest

from aitk.vision.models.segmenters.deeplab import deeplabv3plus, scaled_rates
from aitk.vision.models.segmenters.pspnet import pooled_to, pspnet
from aitk.vision.models.segmenters.unet import unet

SIZE, CLASSES = (45, 61), 5


def backbone(*, blocks="1,1,1", stem_stride=2, size=SIZE):
    import keras

    from aitk.vision.models.backbones.resnet import build_backbone
    from aitk.vision.models.settings import ResNetSettings

    keras.utils.set_random_seed(0)
    return build_backbone(ResNetSettings(filters=4, blocks=blocks, stem_stride=stem_stride), size)


def images(count, *, size=SIZE):
    return np.random.default_rng(count).integers(0, 256, (count, *size, 3)).astype(np.uint8)


HEADS = {
    "unet": lambda backbone: unet(backbone, classes=CLASSES, width=4, dropout=0.1),
    "deeplabv3plus": lambda backbone, output_stride=8: deeplabv3plus(
        backbone, classes=CLASSES, width=16, output_stride=output_stride, dropout=0.1
    ),
    "pspnet": lambda backbone, output_stride=4: pspnet(
        backbone, classes=CLASSES, width=16, output_stride=output_stride, dropout=0.1
    ),
}


@pytest.fixture(scope="module", params=HEADS)
def model(request):
    return HEADS[request.param](backbone())


# All of them ----------------------------------------------------------------


def test_every_pixel_gets_logits(model):
    assert model.output_shape == (None, *SIZE, CLASSES)
    assert model.output.dtype == "float32"
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.get_layer("backbone").count_params() > 0


def test_every_weight_learns(model):
    """Every weight gets a gradient, and a copy from the configuration has the same outputs."""
    import tensorflow as tf

    from aitk.vision.losses.segmentation import SegmentationLoss

    truth = np.random.default_rng(0).integers(0, CLASSES, (2, *SIZE)).astype(np.uint8)
    with tf.GradientTape() as tape:
        loss = SegmentationLoss("ce")(truth, model({"image": images(2)}, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert not [
        variable.path
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None
    ]
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    assert np.asarray(copy({"image": images(2)})) == pytest.approx(
        np.asarray(model({"image": images(2)})), abs=1e-5
    )


@pytest.mark.onnx
def test_it_is_written_to_files(model, tmp_path):
    """LiteRT and ONNX files match the model for any number of images."""
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import KerasPredictor, LiteRTPredictor, OnnxPredictor

    write(model, tmp_path / "model.tflite", format="litert", scheme="none")
    write(model, tmp_path / "model.onnx", format="onnx", scheme="none")
    exact = KerasPredictor(model)
    near = (LiteRTPredictor(tmp_path / "model.tflite"), OnnxPredictor(tmp_path / "model.onnx"))
    for count in (1, 3):
        inputs = {"image": images(count)}
        wanted = exact(inputs)
        for predict in near:
            assert predict(inputs) == pytest.approx(wanted, abs=1e-3 * float(wanted.std()))


# U-Net -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "stem_stride", "skips"), [("1", 2, 0), ("1,1", 1, 1), ("1,1,1,1", 4, 3)]
)
def test_unet_has_a_skip_for_every_stride_but_the_last(blocks, stem_stride, skips):
    made = HEADS["unet"](backbone(blocks=blocks, stem_stride=stem_stride))
    assert sum(layer.name.endswith("_skip") for layer in made.layers) == skips
    assert made.output_shape == (None, *SIZE, CLASSES)


def test_unet_looks_near_more_than_far():
    """A change of one corner reaches the logits there, through the skips, and less far away."""
    made, (one,) = HEADS["unet"](backbone()), images(1)
    other = one.copy()
    other[:8, :8] = 255 - other[:8, :8]
    before, after = (np.asarray(made({"image": each[None]}))[0] for each in (one, other))
    moved = np.abs(after - before).mean(axis=2)
    assert moved[:8, :8].mean() > 3 * moved[-8:, -8:].mean()


# DeepLabv3+ ------------------------------------------------------------------


def test_deeplab_rates_reach_as_far_as_in_the_paper():
    assert scaled_rates((33, 33)) == (6, 12, 18)
    assert scaled_rates((65, 65)) == (12, 24, 35)  # at half the stride
    assert scaled_rates((15, 20)) == (3, 5, 8)
    assert scaled_rates((2, 2)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("output_stride", "rows", "low"), [(4, 12, False), (8, 6, True), (16, 3, True), (32, 3, True)]
)
def test_deeplab_uses_the_requested_or_nearest_stride(output_stride, rows, low):
    made = HEADS["deeplabv3plus"](backbone(blocks="1,1,1,1"), output_stride)
    assert made.get_layer("aspp").output.shape[1] == rows
    assert any(layer.name == "outlines" for layer in made.layers) == low
    assert made.output_shape == (None, *SIZE, CLASSES)


def test_deeplab_on_one_stage_has_no_outlines_to_add():
    made = HEADS["deeplabv3plus"](backbone(blocks="1", stem_stride=4))
    assert made.get_layer("aspp").output.shape[1] == 12


# PSPNet ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [(12, 12), (13, 20), (6, 7), (5, 1), (1, 1)])
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_pspnet_regions_are_of_one_size_and_cover_the_map(size, bins):
    import keras

    x = np.random.default_rng(0).normal(size=(1, *size, 1)).astype(np.float32)
    inputs = keras.Input((*size, 1))
    pooled = np.asarray(keras.Model(inputs, pooled_to(inputs, bins))(x))[0, :, :, 0]
    assert pooled.shape == (min(bins, size[0]), min(bins, size[1]))
    edges = []
    for length in size:
        count = min(bins, length)
        step = length // count
        edges.append([(at * step, at * step + length - (count - 1) * step) for at in range(count)])
    for row, (top, bottom) in enumerate(edges[0]):
        for column, (left, right) in enumerate(edges[1]):
            wanted = x[0, top:bottom, left:right].mean()
            assert pooled[row, column] == pytest.approx(wanted, abs=1e-5)
    assert [side[-1][1] for side in edges] == list(size)


@pytest.mark.parametrize(("output_stride", "rows"), [(4, 12), (8, 6), (32, 6)])
def test_pspnet_uses_the_requested_or_nearest_stride(output_stride, rows):
    made = HEADS["pspnet"](backbone(), output_stride)
    assert made.get_layer("pyramid").output.shape[1] == rows
    assert made.output_shape == (None, *SIZE, CLASSES)
