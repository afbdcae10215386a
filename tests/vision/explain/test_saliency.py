"""Saliency maps for predictions with a known cause."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.io.images import decode_checked
from aitk.vision.explain.saliency import explain_image, faithfulness, overlay, rise
from aitk.vision.features.geometry import fit_image

SIDE = 32
CORNER = np.s_[4:12, 20:28]  # rows 4 to 11, columns 20 to 27


def image():
    """Dark noise with a bright square in a corner."""
    made = np.random.default_rng(0).integers(0, 40, (SIDE, SIDE, 3)).astype(np.uint8)
    made[CORNER] = 250
    return made


def probability(images):
    """How bright the corner is: nothing else matters."""
    return np.array([each[CORNER].mean() / 255 for each in images])


def share_in_corner(heat):
    return float(heat[CORNER].sum() / heat.sum())


def test_rise_finds_the_corner():
    found = rise(image(), probability)
    heat = found.heat
    assert found.reliability >= 0.75 and 128 <= found.masks < 512
    assert heat.shape == (SIDE, SIDE)
    assert heat.min() == 0
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 4 <= row < 12
    assert 20 <= column < 28
    assert heat[CORNER].mean() > 2 * heat.mean()


def test_an_image_without_a_cause_takes_all_masks():
    rng = np.random.default_rng(0)
    found = rise(image(), lambda images: rng.random(len(images)))
    assert found.masks == 512 and found.reliability < 0.75


def test_a_right_map_is_more_faithful_than_random_and_a_wrong_one_less():
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[CORNER] = 1
    right = faithfulness(image(), heat, probability)
    assert right["deletion"] < right["deletion_random"]
    assert right["insertion"] > right["insertion_random"]
    assert right["named"] > right["random"]
    wrong = faithfulness(image(), 1 - heat, probability)
    assert wrong["deletion"] > right["deletion"]
    assert wrong["insertion"] < right["insertion"]


def test_the_area_is_that_of_the_curve():
    """A probability that falls in a straight line as pixels go has an area of one half."""
    white = np.full((8, 8, 3), 255, np.uint8)
    white[0, 0] = 0  # so that the mean is another colour

    def share_left(images):
        return np.array([(each == white).all(axis=-1).mean() for each in images])

    scores = faithfulness(white, np.arange(64.0).reshape(8, 8), share_left)
    assert scores["deletion"] == pytest.approx(0.5, abs=0.01)


def test_the_image_is_shown_next_to_its_map():
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[CORNER] = 1
    drawn = overlay(image(), heat)
    assert drawn.shape[:2] == (256, 2 * 256 + 24)  # eight times as large, beside its map, a scale
    veiled = drawn[:, 256:512].astype(int)
    assert veiled[64, 192].sum() > veiled[200, 32].sum()
    assert overlay(image(), np.zeros((SIDE, SIDE))).shape == drawn.shape
    scale = drawn[:, -1].astype(int).sum(axis=1)
    assert scale[0] > scale[128] > scale[-1]  # light is most


def test_the_box_that_is_explained_is_drawn_on_both():
    heat = np.zeros((SIDE, SIDE), np.float32)
    plain, boxed = overlay(image(), heat), overlay(image(), heat, box=(4, 4, 12, 20))
    changed = (plain != boxed).any(axis=-1)
    assert changed[32:160, 30:35].any() and changed[32:160, 256 + 30 : 256 + 35].any()
    assert not changed[60:120, 60:80].any()


def test_an_explanation_is_drawn_in_the_original_image():
    original = np.repeat(np.repeat(image(), 2, axis=0), 3, axis=1)
    fitted, fit = fit_image(original, (SIDE, SIDE), how="stretch")
    told = explain_image(original, fitted, fit, probability)
    assert told["method"] == "RISE"
    drawn = decode_checked(told["pictures"][0]["png"])
    assert drawn.shape[1] == 2 * drawn.shape[0] * 96 // 64 + 24
    assert np.max(told["heat"]) == 1
    assert told == explain_image(original, fitted, fit, probability)


@pytest.fixture(scope="module")
def corner_model():
    """A classifier whose second class counts bright pixels, and whose first one counts none."""
    import keras

    from aitk.vision.models.classifier import classifier
    from aitk.vision.models.input_scaling import Normalise, image_input

    inputs = image_input((SIDE, SIDE))
    x = Normalise([0, 0, 0], [255, 255, 255], name="normalise")(inputs)
    x = keras.layers.Conv2D(2, 4, strides=4, activation="relu", name="stride_4")(x)
    model = classifier(keras.Model(inputs, x, name="backbone"), classes=2, dropout=0.0)
    kernel = np.full((4, 4, 3, 2), 1 / 48, np.float32)
    kernel[..., 1] = 0
    model.get_layer("backbone").get_layer("stride_4").set_weights([kernel, np.array([-0.3, 0])])
    model.get_layer("head").set_weights([np.array([[0.0, 9.0], [0.0, 0.0]]), np.zeros(2)])
    return model


def test_grad_cam_plus_plus_finds_the_corner(corner_model):
    from aitk.vision.explain.attribution import attribute

    method, heat = attribute(corner_model, image(), 1)
    assert (method, heat.shape) == ("Grad-CAM++", (8, 8))
    expected = np.zeros((8, 8))
    expected[1:3, 5:7] = 1  # cells of 4 pixels
    np.testing.assert_allclose(heat / heat.max(), expected, atol=1e-4)
    assert attribute(corner_model, image(), 0)[1].max() == 0  # nothing raises the other class


def test_weights_of_grad_cam_plus_plus_are_those_of_the_paper(corner_model):
    """Equation 19 written out with loops, for slopes that differ from place to place."""
    from aitk.vision.explain.attribution import grad_cam_plus_plus

    heat = grad_cam_plus_plus(corner_model, image(), 1)
    maps = np.asarray(corner_model.get_layer("backbone")(image()[None]))[0]
    slope = 9 / 64  # of the mean over 8 x 8 cells, times the head's weight
    expected = np.zeros((8, 8))
    total = maps[..., 0].sum()
    weight = 64 * slope**2 / (2 * slope**2 + total * slope**3) * slope
    for row in range(8):
        for column in range(8):
            expected[row, column] = max(weight * maps[row, column, 0], 0)
    np.testing.assert_allclose(heat, expected, rtol=1e-4)


def test_integrated_gradients_add_up_to_the_difference_of_the_scores(corner_model):
    from aitk.vision.explain.attribution import integrated_gradients

    pixels = integrated_gradients(corner_model, image(), 1)
    mean = np.broadcast_to(image().mean(axis=(0, 1)), image().shape)
    # The mean colour itself is no uint8 image, so it goes in after the scaling.
    backbone = corner_model.get_layer("backbone")
    flat = backbone.get_layer("stride_4")((mean / 255)[None].astype(np.float32))
    before = float(corner_model.get_layer("head")(np.asarray(flat).mean(axis=(1, 2)))[0, 1])
    after = float(corner_model(image()[None])[0, 1])
    assert pixels.sum() == pytest.approx(after - before, rel=0.05)
    assert share_in_corner(np.maximum(pixels, 0)) > 0.9


def test_a_transformer_is_explained_patch_by_patch():
    from aitk.vision.explain.attribution import attribute
    from aitk.vision.models import build_backbone
    from aitk.vision.models.classifier import classifier
    from aitk.vision.models.settings import VitSettings

    settings = VitSettings(patch=8, hidden=8, layers=1, heads=2)
    model = classifier(build_backbone("vit", settings, (SIDE, SIDE)), classes=2, dropout=0.0)
    method, heat = attribute(model, image(), 1)
    assert (method, heat.shape) == ("integrated gradients", (4, 4))
    assert heat.min() >= 0
    assert heat.max() > 0
