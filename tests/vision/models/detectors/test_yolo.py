"""Outputs of the anchor-free detector, and their feature maps."""

import numpy as np
import pytest


def test_strides_that_the_backbone_lacks_are_made_of_the_nearest():
    from aitk.vision.models import build_backbone
    from aitk.vision.models.detectors.suppression import Suppression
    from aitk.vision.models.detectors.yolo import yolo
    from aitk.vision.models.settings import CnnSettings

    size = (32, 40)
    network = build_backbone("cnn", CnnSettings(filters=8, blocks="1,1", stem_stride=4), size)
    model = yolo(
        network,
        size=size,
        classes=1,
        strides=(2, 4, 8, 16),
        width=8,
        suppression=Suppression(detections=10),
    )
    places = [(16, 20), (8, 10), (4, 5), (2, 3)]
    assert model.get_layer("detections").shapes == places
    assert model({"image": np.zeros((1, *size, 3), np.uint8)}, training=False).shape == (1, 10, 6)
    with pytest.raises(ValueError, match="No such layer"):
        model.get_layer("further_8")
    assert model.get_layer("further_16").filters == 8
    assert model.get_layer("finer_2").filters == 8


def test_a_distance_is_the_mean_of_its_distribution():
    from aitk.vision.models.detectors.yolo import BINS, decode_boxes

    row = np.zeros((1, 1, 3 + 4 * BINS), np.float32)
    row[0, 0, :3] = [20, 16, 4]
    told = row[0, 0, 3:].reshape(4, BINS)
    told[:] = -50
    told[[0, 0], [1, 2]] = 50  # half 1, half 2 strides to the left
    told[[1, 2, 3], [0, 3, 2]] = 50
    assert np.asarray(decode_boxes(row))[0, 0] == pytest.approx([14, 16, 32, 24], abs=1e-3)
