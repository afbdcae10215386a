"""Pretrained networks: their scaling, their size, and their notes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aitk.core.artifacts.pretrained import Pretrained, load_pretrained
from aitk.core.contract.errors import ArtifactError
from aitk.vision.tasks.classify import Classify

TASK = Classify()


def images(size, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, *size, 3)).astype("uint8")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A tiny Keras Hub folder with a scaling of its own."""
    import keras_hub

    folder = tmp_path_factory.mktemp("preset")
    backbone = keras_hub.models.EfficientNetBackbone(
        width_coefficient=0.05,
        depth_coefficient=0.1,
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 1],
        stackwise_input_filters=[32, 16],
        stackwise_output_filters=[16, 24],
        stackwise_expansion_ratios=[1, 2],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "unfused"],
    )
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.EfficientNetImageConverter(
        image_size=(24, 40), scale=[0.01, 0.02, 0.03], offset=[-1.0, 0.0, 1.0]
    )
    converter.save_to_preset(str(folder))
    return folder, backbone, converter


def test_a_preset_keeps_its_scaling_and_its_size(preset):
    folder, backbone, converter = preset
    found = load_pretrained(str(folder), model=None, task=TASK)
    assert (found.kind, found.model) == ("hub", "hub")
    assert found.settings == {"fit": "crop", "image_size": "24x40"}
    expected = np.asarray(backbone(converter(images((24, 40)).astype("float32"))))
    np.testing.assert_allclose(found.backbone(images((24, 40))), expected, atol=1e-5)


def test_its_stages_are_found_and_its_file_reloads(preset, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.vision.models.backbones.feature_maps import levels, strides_of

    folder, backbone, _ = preset
    found = load_pretrained(str(folder), model=None, task=TASK)
    assert strides_of(found.backbone) == [2, 4]
    assert len(found.loaded) == len(backbone.weights)
    split = levels(found.backbone, [2, 4])
    split.save(tmp_path / "levels.keras")
    one, other = (
        split(images((24, 40))),
        load_keras(tmp_path / "levels.keras")(images((24, 40))),
    )
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def test_another_size_is_the_same_network(preset):
    from aitk.vision.models.transfer import resize_input

    folder, backbone, converter = preset
    found = load_pretrained(str(folder), model=None, task=TASK)
    resized = resize_input(found.backbone, (32, 32))
    scaled = images((32, 32)) * np.array(converter.scale) + np.array(converter.offset)
    np.testing.assert_allclose(
        resized(images((32, 32))), backbone(scaled.astype("float32")), atol=1e-5
    )


def test_averages_follow_within_a_few_steps(preset):
    import keras

    folder, _, _ = preset
    found = load_pretrained(str(folder), model=None, task=TASK)
    norms = [
        layer
        for layer in found.backbone.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms
    assert max(layer.momentum for layer in norms) == 0.9


def test_a_network_without_scaling_gets_that_of_imagenet_with_a_note(preset, tmp_path):
    import keras_hub

    from aitk.vision.models.input_scaling import IMAGENET_MEAN

    _, backbone, _ = preset
    backbone.save_to_preset(str(tmp_path / "bare"))
    assert isinstance(backbone, keras_hub.models.Backbone)
    found = load_pretrained(str(tmp_path / "bare"), model=None, task=TASK)
    assert found.settings == {"image_size": "224x224"}
    assert any("ImageNet" in reason for _, reason in found.skipped)
    assert found.backbone.get_layer("normalise").mean == pytest.approx(IMAGENET_MEAN)


def test_a_transformer_puts_its_patches_into_a_map():
    import keras_hub

    from aitk.vision.models.backbones import hub
    from aitk.vision.models.backbones.feature_maps import strides_of

    vit = keras_hub.models.ViTBackbone(
        image_shape=(16, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    wrapped = hub.wrap(vit, (16, 32), mean=(0, 0, 0), deviation=(255, 255, 255))
    assert (wrapped.output_shape, strides_of(wrapped)) == ((None, 2, 4, 8), [8])
    tokens = np.asarray(vit(images((16, 32)) / np.float32(255)))
    np.testing.assert_allclose(
        wrapped(images((16, 32))), tokens[:, 1:].reshape(2, 2, 4, 8), atol=1e-5
    )


def test_what_is_no_image_network_is_refused():
    import keras_hub

    from aitk.vision.models.backbones import hub

    bert = keras_hub.models.BertBackbone(
        vocabulary_size=10, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    )
    with pytest.raises(ArtifactError, match="does not take a single image"):
        hub.wrap(bert, (16, 16), mean=(0, 0, 0), deviation=(1, 1, 1))


def test_the_backbone_of_another_task_puts_out_one_map(tmp_path):
    from aitk.vision.models import build_backbone
    from aitk.vision.models.backbones.feature_maps import levels
    from aitk.vision.models.pretrained import adopt
    from aitk.vision.models.settings import ResNetSettings

    backbone = build_backbone("resnet", ResNetSettings(filters=4, blocks="1,1"), (16, 16))
    found = Pretrained("run", "run", "resnet", tmp_path, backbone=levels(backbone, [1, 2]))
    assert adopt(found).backbone.output_shape == backbone.output_shape
    bare = Pretrained("w.h5", "weights", "resnet", tmp_path)
    assert adopt(bare) is bare


def test_a_run_hands_on_its_network_and_not_how_it_was_trained(tmp_path):
    import keras

    from aitk.core.contract.options import as_dict, resolve
    from aitk.vision.models import build_backbone
    from aitk.vision.models.masked_specs import MaskedResNetSettings
    from aitk.vision.models.settings import ResNetSettings

    given = {"filters": 4, "blocks": "1,1", "image_size": "16", "fit": "crop"}
    taught = {"crop": 0.8, "shift": 0.0, "mixup": 1.0, "dropout": 0.0}
    pretrained = resolve(MaskedResNetSettings, given, taught)
    backbone = build_backbone("resnet", pretrained, (16, 16))
    manifest = {
        "version": 1,
        "task": "vision.masked-image",
        "model": "resnet",
        "settings": as_dict(pretrained),
        "format": "keras",
        "data": {"folder": "data", "fingerprint": "f", "reading": {}},
    }
    keras.Model(backbone.inputs, backbone.outputs, name="backbone").save(tmp_path / "model.keras")
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    found = load_pretrained(str(tmp_path), model=None, task=TASK)
    assert found.settings == given | {"stem_stride": None, "normalization": "batch"}
    chosen = resolve(ResNetSettings, found.settings, {"crop": 0.1})
    assert chosen == resolve(ResNetSettings, given, {"crop": 0.1})


class Recorder:
    """Mock of a timm file: records the tensors that a converter reads, and their shapes."""

    def __init__(self):
        self.tensors = {}

    def port_weight(self, keras_variable, hf_weight_key, hook_fn=None):
        shape = tuple(keras_variable.shape)
        value = np.random.default_rng(len(self.tensors)).normal(size=shape).astype("float32")
        if len(shape) == 4:  # height, width, in, out -> out, in, height, width
            value = value.transpose(3, 2, 0, 1)
        variance = hf_weight_key.endswith("running_var")
        self.tensors[hf_weight_key] = np.abs(value) if variance else value * 0.1


def test_a_timm_folder_is_a_source(tmp_path, capsys):
    from keras_hub.src.utils.timm import convert_mobilenet
    from safetensors.numpy import save_file

    from aitk.vision.models.backbones.feature_maps import strides_of

    config = {
        "architecture": "mobilenetv3_small_050",
        "num_classes": 5,
        "pretrained_cfg": {
            "input_size": [3, 32, 32],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "interpolation": "bicubic",
        },
    }
    recorder = Recorder()
    kwargs = convert_mobilenet.convert_backbone_config(config)
    blank = convert_mobilenet.backbone_cls(**kwargs)
    convert_mobilenet.convert_weights(blank, recorder, config)
    save_file(recorder.tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    capsys.readouterr()
    found = load_pretrained(str(tmp_path), model=None, task=TASK)
    assert (found.kind, found.model) == ("timm", "hub")
    assert found.settings["image_size"] == "32x32"
    assert len(found.loaded) == len(recorder.tensors)
    normalise = found.backbone.get_layer("normalise")
    assert normalise.mean == pytest.approx((127.5, 127.5, 127.5))
    assert normalise.deviation == pytest.approx((63.75, 63.75, 63.75))
    assert np.isfinite(np.asarray(found.backbone(images((32, 32))))).all()
    assert strides_of(found.backbone) == [2, 4, 8, 16, 32]
    assert capsys.readouterr().out == ""  # Keras Hub tells of every array


def test_a_timm_network_that_cannot_be_converted_is_refused(tmp_path):
    config = json.dumps({"architecture": "tf_efficientnet_b0", "num_classes": 5})
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ArtifactError, match="tf_efficientnet_b0"):
        load_pretrained(str(tmp_path), model=None, task=TASK)
