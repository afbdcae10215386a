"""Assets of image models: the same from their folder, damage reported, new classes."""

from __future__ import annotations

import json

import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.vision.features.assets import FILE, ImageAssets, load_image_assets
from aitk.vision.features.augment_settings import AugmentSettings


def test_assets_come_back_from_their_folder(tmp_path):
    assets = ImageAssets(
        (16, 24), "crop", AugmentSettings(flip=0.5, rotate=10.0), ("猫", "dog"), (1.0, 2.0),
        parameters={"label_sets": {"label": ["猫"], "mask": ["a", "b"]}, "smoothing": 0.1},
    )  # fmt: skip
    assets.save(tmp_path)
    assert load_image_assets(tmp_path) == assets
    assert assets.labels_of("mask") == ("a", "b") and assets.labels_of("boxes") == ()


@pytest.mark.parametrize(
    "change",
    [
        {"fit": "squeeze"},
        {"size": [0, 16]},
        {"size": 16},
        {"labels": ["a", "a"]},
        {"labels": "ab"},
        {"labels": ["a", 1]},
        {"weights": [1.0]},
        {"augment": {"flop": 0.5}},
        {"augment": {"flip": "often"}},
        {"parameters": 3},
        {"shape": [1, 2]},
    ],
)
def test_damaged_assets_are_reported(tmp_path, change):
    ImageAssets((16, 16), labels=("a", "b")).save(tmp_path)
    path = tmp_path / FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=FILE):
        load_image_assets(tmp_path)


def test_missing_assets_are_reported(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        load_image_assets(tmp_path)
    (tmp_path / FILE).write_text('{"size": [1, 1]}')
    with pytest.raises(ArtifactError, match="lacks"):
        load_image_assets(tmp_path)


def test_new_classes_weigh_one():
    assets = ImageAssets((8, 8), labels=("a", "b"), weights=(0.5, 2.0))
    assert assets.with_labels("label", ("a", "b", "c")).weights == (0.5, 2.0, 1.0)
