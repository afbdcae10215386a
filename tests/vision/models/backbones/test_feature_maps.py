"""The maps that a network passes on its way."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.vision.models.settings import EfficientNetSettings, ResNetSettings, VggSettings

SIZE = (64, 64)


@pytest.fixture(scope="module")
def resnet():
    from aitk.vision.models import build_backbone

    return build_backbone("resnet", ResNetSettings(filters=4, blocks="1,1,1"), SIZE)


def images():
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype("uint8")


def test_every_stage_has_its_stride(resnet):
    from aitk.vision.models.backbones.feature_maps import levels, strides_of

    assert strides_of(resnet) == [1, 2, 4]
    maps = levels(resnet, [4, 1])(images())
    assert [each.shape for each in maps] == [(2, 16, 16, 16), (2, 64, 64, 4)]


def test_the_layers_are_shared(resnet):
    from aitk.vision.models.backbones.feature_maps import levels

    split = levels(resnet, [2, 4])
    assert split.name == "backbone"
    np.testing.assert_array_equal(split(images())[1], resnet(images()))
    assert {id(weight) for weight in split.weights} == {id(weight) for weight in resnet.weights}


def test_a_stride_that_is_not_there_is_named(resnet):
    from aitk.vision.models.backbones.feature_maps import levels

    with pytest.raises(ValueError, match=r"stride 32.*\[1, 2, 4\]"):
        levels(resnet, [32])


def test_saved_levels_become_one_output_again(resnet, tmp_path):
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.vision.models.backbones.feature_maps import last_map, levels

    levels(resnet, [1, 4]).save(tmp_path / "levels.keras")
    loaded = load_keras(tmp_path / "levels.keras")
    assert len(loaded.outputs) == 2
    np.testing.assert_array_equal(last_map(loaded)(images()), resnet(images()))
    assert last_map(resnet) is resnet


@pytest.mark.parametrize(
    ("name", "settings", "strides"),
    [
        ("efficientnet", EfficientNetSettings(width=0.1, depth=0.1), [2, 4, 8, 16, 32]),
        ("vgg", VggSettings(filters=4, blocks="1,1,1"), [1, 2, 4, 8]),
    ],
)
def test_networks_of_keras_hub_have_theirs(name, settings, strides):
    from aitk.vision.models import build_backbone
    from aitk.vision.models.backbones.feature_maps import levels, strides_of

    backbone = build_backbone(name, settings, SIZE)
    assert strides_of(backbone) == strides
    maps = levels(backbone, strides)(images())
    assert [each.shape[1] for each in maps] == [64 // stride for stride in strides]
    np.testing.assert_allclose(maps[-1], backbone(images()), atol=1e-6)
