"""Every network: its map, its file, its exports, the same network at another size."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import aitk.vision.models
from aitk.core.contract.errors import UsageError
from aitk.vision.models.settings import (
    BACKBONES,
    NETWORKS,
    CnnSettings,
    EfficientNetSettings,
    MobileNetSettings,
    ResNetSettings,
    VggSettings,
    VitSettings,
    WithBackbone,
    parse_blocks,
    parse_size,
    stem_stride,
)

SIZE = (32, 32)
SMALL = {
    "cnn": CnnSettings(filters=4, blocks="1,1"),
    "vgg": VggSettings(filters=4, blocks="1,1,1"),
    "resnet": ResNetSettings(filters=4, blocks="1,2"),
    "mobilenet": MobileNetSettings(filters=4, blocks="1,2", expansion=2),
    "efficientnet": EfficientNetSettings(width=0.1, depth=0.1),
    "vit": VitSettings(patch=8, hidden=8, layers=2, heads=2),
}


@pytest.fixture(scope="module", params=SMALL)
def network(request):
    from aitk.vision.models import build_backbone

    backbone = build_backbone(request.param, SMALL[request.param], SIZE)
    return request.param, with_moved_weights(backbone)


def with_moved_weights(model):
    """Weights and moving averages away from their start, so that a lost one would show."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "seed" not in variable.path:
            value = np.asarray(variable)
            variable.assign(value + np.abs(rng.normal(scale=0.1, size=value.shape)))
    return model


def images(size=SIZE, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, *size, 3)).astype("uint8")


def test_sizes_and_blocks_are_read_or_refused():
    assert parse_size("32") == (32, 32)
    assert parse_size("240x320") == (240, 320)
    assert parse_blocks("1, 2,3") == (1, 2, 3)
    for bad in ("", "4", "1x2x3", "32x", "99999", "²", "9" * 5000):
        with pytest.raises(UsageError):
            parse_size(bad)
    for bad in ("", "1,0", "a", "²", "1,1,1,1,1,1,1"):
        with pytest.raises(UsageError):
            parse_blocks(bad)


def test_the_first_stride_goes_by_the_size_unless_it_is_set():
    assert [stem_stride(CnnSettings(), (side, side)) for side in (32, 96, 224)] == [1, 2, 4]
    assert stem_stride(CnnSettings(stem_stride=2), (32, 32)) == 2
    with pytest.raises(UsageError, match="1, 2 or 4"):
        stem_stride(CnnSettings(stem_stride=3), (32, 32))


def test_a_head_names_its_network_and_sets_what_the_network_has():
    chosen = WithBackbone(backbone="mobilenet", filters=8, image_size="64").network()
    assert isinstance(chosen, MobileNetSettings)
    assert (chosen.filters, chosen.blocks) == (8, MobileNetSettings().blocks)
    assert isinstance(WithBackbone(backbone="vit", filters=8).network(), VitSettings)
    assert tuple(NETWORKS) == BACKBONES


def test_an_image_becomes_a_map(network):
    name, backbone = network
    assert backbone.name == "backbone"
    (spec,) = backbone.inputs
    assert (spec.name, spec.dtype, spec.shape) == ("image", "uint8", (None, 32, 32, 3))
    features = np.asarray(backbone(images()))
    assert features.ndim == 4, name
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 1e-3  # it looks at the image


def test_a_saved_network_is_the_same_after_loading(network, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras

    _, backbone = network
    backbone.save(tmp_path / "backbone.keras")
    loaded = load_keras(tmp_path / "backbone.keras")
    np.testing.assert_array_equal(loaded(images()), backbone(images()))


def test_the_configuration_makes_the_network_again(network):
    _, backbone = network
    copy = type(backbone).from_config(backbone.get_config())
    copy.set_weights(backbone.get_weights())
    np.testing.assert_array_equal(copy(images()), backbone(images()))


def test_the_same_network_reads_images_of_another_size(network):
    from aitk.vision.models.backbones.feature_maps import strides_of
    from aitk.vision.models.transfer import resize_input

    name, backbone = network
    larger = resize_input(backbone, (64, 32))
    assert resize_input(backbone, SIZE) is backbone
    assert strides_of(larger) == strides_of(backbone)
    assert larger.count_params() - backbone.count_params() == (32 * 8 // 2 if name == "vit" else 0)
    back = resize_input(larger, SIZE)
    if name != "vit":  # positions were interpolated twice
        np.testing.assert_allclose(back(images()), backbone(images()), atol=1e-5)


def test_positions_are_spread_over_the_new_grid():
    from aitk.vision.models.backbones.patch_maps import interpolate_positions

    # A class token before a 2 x 2 grid that rises to the right.
    positions = np.array([[9.0], [0.0], [1.0], [0.0], [1.0]], np.float32)
    spread = interpolate_positions(positions, (2, 2), (2, 4))
    assert spread[0] == 9
    rows = spread[1:].reshape(2, 4)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert (np.diff(rows[0]) > 0).all()


def test_patches_that_do_not_divide_the_size_are_refused():
    from aitk.vision.models import build_backbone
    from aitk.vision.models.transfer import resize_input

    with pytest.raises(UsageError, match="do not divide"):
        resize_input(build_backbone("vit", SMALL["vit"], SIZE), (36, 36))
    with pytest.raises(UsageError, match="do not divide"):
        build_backbone("vit", VitSettings(patch=5), SIZE)
    with pytest.raises(UsageError, match="not divisible by heads"):
        build_backbone("vit", VitSettings(hidden=10, heads=4), SIZE)


def test_scaling_is_the_mean_and_deviation_of_each_channel():
    from aitk.vision.models.input_scaling import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalise

    scaled = np.asarray(Normalise()(images()))
    expected = (images().astype(float) - IMAGENET_MEAN) / IMAGENET_DEVIATION
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    assert np.asarray(Normalise(dtype="mixed_bfloat16")(images())).dtype.name == "bfloat16"


def test_logits_are_float32_in_mixed_precision():
    import keras

    from aitk.vision.models import build_backbone
    from aitk.vision.models.classifier import classifier

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier(build_backbone("resnet", SMALL["resnet"], SIZE), classes=3, dropout=0.1)
        out = np.asarray(model(images()))
    finally:
        keras.config.set_dtype_policy("float32")
    assert (out.dtype, out.shape) == (np.float32, (2, 3))


@pytest.mark.onnx
@pytest.mark.parametrize("name", ["mobilenet", "vit"])
def test_exports_compute_the_same(name, tmp_path):
    from aitk.core.compression.convert import write
    from aitk.core.inference.predictors import LiteRTPredictor, OnnxPredictor
    from aitk.vision.models import build_backbone
    from aitk.vision.models.classifier import classifier

    backbone = with_moved_weights(build_backbone(name, SMALL[name], SIZE))
    model = classifier(backbone, classes=3, dropout=0.1)
    expected = np.asarray(model(images()))
    write(model, tmp_path / "m.tflite", format="litert", scheme="none")
    write(model, tmp_path / "m.onnx", format="onnx", scheme="none")
    for predictor in (LiteRTPredictor(tmp_path / "m.tflite"), OnnxPredictor(tmp_path / "m.onnx")):
        np.testing.assert_allclose(predictor({"image": images()}), expected, rtol=1e-4)


def test_a_model_without_weights_of_its_own_reports_it():
    from aitk.vision.models import build_backbone

    with pytest.raises(UsageError, match="--from"):
        build_backbone("hub", None, SIZE)


def test_networks_name_no_backend():
    for path in Path(aitk.vision.models.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", ())]
            names.append(getattr(node, "module", None) or "")
            assert not {name.partition(".")[0] for name in names} & {"tensorflow", "jax", "torch"}


def test_a_narrow_residual_network_learns_from_odd_batches():
    import keras

    settings = ResNetSettings(filters=8, blocks="1,1")
    backbone = aitk.vision.models.build_backbone("resnet", settings, (16, 16))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, pooled)
    model.compile("sgd", "mse")
    for rows in (1, 3, 5):
        images = np.zeros((rows, 16, 16, 3), np.uint8)
        assert np.isfinite(model.train_on_batch(images, np.zeros((rows, 16))))
