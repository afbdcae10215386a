"""Networks of images without their smallest channels compute what they did with these at zero."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.compression.pruning.channels import inner_channels, prune_channels
from aitk.core.contract.options import resolve
from aitk.core.io.images import encode_png
from aitk.vision.models.detectors.suppression import Suppression
from aitk.vision.models.settings import MobileNetSettings, ResNetSettings

SIZE = (32, 40)
NETWORKS = {
    "resnet": ResNetSettings(filters=12, blocks="1,1", stem_stride=4),
    "mobilenet": MobileNetSettings(filters=6, blocks="1,2", expansion=3, stem_stride=4),
}


def backbone(name="resnet"):
    from aitk.vision.models import build_backbone

    return build_backbone(name, NETWORKS[name], SIZE)


def make(name):
    from aitk.vision.models.classifier import classifier
    from aitk.vision.models.detectors.ssd import ssd
    from aitk.vision.models.segmenters.unet import unet

    if name == "unet":
        return unet(backbone(), classes=3, width=12, dropout=0.1)
    if name == "ssd":
        return ssd(
            backbone(),
            size=SIZE,
            classes=2,
            strides=(4, 8),
            sides=[[[8, 8], [12, 10]], [[10, 14], [14, 14]]],
            width=16,
            suppression=Suppression(candidates=30, detections=10, overlap=0.5),
        )
    return classifier(backbone(name), classes=3, dropout=0.1)


def moved(model):
    """Weights and moving averages away from their start, so that a lost one would show."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        value = np.asarray(variable)
        variable.assign(value + np.abs(rng.normal(scale=0.1, size=value.shape)))
    return model


def told(model):
    """Logits, or the raw rows of a detector."""
    import keras

    if "raw" in (layer.name for layer in model.layers):
        model = keras.Model(model.input, model.get_layer("raw").output)
    images = np.random.default_rng(1).integers(0, 256, (2, *SIZE, 3)).astype("uint8")
    given = {"image": images} if isinstance(model.input, dict) else images
    return np.asarray(model(given, training=False))


INSIDE = {
    "resnet": {"backbone/stage1_block1_conv1", "backbone/stage2_block1_conv1"},
    "mobilenet": {"backbone/stage2_block1_widen", "backbone/stage2_block2_widen"},
    "unet": {"up1_conv1", "up1_conv2"},
    "ssd": {"head_4_both", "head_8_both", "pyramid_4", "pyramid_8"},
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_pruned_network_equals_the_full_one_with_channels_at_zero(name):
    model = moved(make(name))
    before, found = told(model), inner_channels(model)
    assert INSIDE[name] <= {inner.path for inner in found}
    narrow, removed = prune_channels(model, share=0.4)
    assert narrow.count_params() < model.count_params()
    left = {inner.path: inner.layer for inner in inner_channels(narrow)}
    gone_of_all = 0
    for inner in found:
        norms = np.abs(inner.layer.get_weights()[0]).sum(axis=(0, 1, 2))
        gone = np.argsort(norms, kind="stable")[: len(norms) - left[inner.path].filters]
        gone_of_all += len(gone)
        for layer in (inner.layer, *inner.followers):
            # All activations here are 0 at 0: a channel without filter, scale and offset is 0.
            values = layer.get_weights()
            for value in values:
                each = value.ndim > 1 and layer is not inner.layer  # (3, 3, channels, 1)
                value[(..., gone, slice(None)) if each else (..., gone)] = 0
            layer.set_weights(values)
    assert gone_of_all == removed > 0
    zeroed = told(model)
    scale = np.abs(zeroed).max()
    assert np.abs(zeroed - before).max() > 1e-3 * scale
    assert np.ptp(zeroed) > 0
    np.testing.assert_allclose(told(narrow) / scale, zeroed / scale, atol=1e-5)


def row():
    """An image with annotations for every task."""
    from aitk.vision.data.formats.masks import encode_mask
    from aitk.vision.data.items import ClassMask

    image = np.full((32, 32, 3), 40, np.uint8)
    image[8:24, 8:24] = 200
    mask = ClassMask((image[..., 0] > 100).astype(np.uint8), ("sky", "cell"))
    return {
        "image": encode_png(image), "name": "a.png", "height": 32, "width": 32,
        "label": "cell", "boxes": np.array([[8, 8, 24, 24]], np.float32), "box_labels": ["cell"],
        "crowd": np.zeros(1, np.int32), "boxes_known": 1, "mask": encode_mask(mask),
    }  # fmt: skip


def grown_and_narrow(task, name, **settings):
    """The outputs of a pruned model before and after a class more, in training."""
    small = {
        "image_size": "32", "filters": 12, "blocks": "1,1", "flip": 0.0, "shift": 0.0,
    }  # fmt: skip
    spec = task.models[name]
    chosen = resolve(spec.settings, small, settings)
    kinds = sorted(task.annotation_kinds)
    names = ["sky", "cell"]
    summary = {"labels": names, "label_sets": dict.fromkeys(kinds, names)}
    assets = task.learn([row()] * 2, summary, chosen, note=print)
    model = moved(spec.build(chosen, assets))
    narrow, _ = prune_channels(model, share=0.3)
    wider = assets
    for kind in kinds:
        wider = wider.with_labels(kind, ("sky", "cell", "dust"))
    grown = spec.grow(narrow, chosen, old=assets, new=wider)
    batch = task.collate(task.encode([row()], assets), assets)
    assert narrow.count_params() < grown.count_params() < model.count_params()
    return narrow(batch.inputs, training=True), grown(batch.inputs, training=True), grown, narrow


def test_a_pruned_segmenter_learns_a_class_more():
    from aitk.vision.tasks.segment import Segment

    before, after, *_ = grown_and_narrow(Segment(), "unet", width=12, dropout=0.0)
    np.testing.assert_allclose(np.asarray(after)[..., :2], np.asarray(before), rtol=1e-3)


def test_a_pruned_network_of_several_heads_learns_a_class_more():
    from aitk.vision.tasks.multitask import Multitask

    before, after, grown, narrow = grown_and_narrow(
        Multitask(), "cnn", boxes_head="ssd", strides="4,8", boxes_width=16, mask_width=12,
        dropout=0.0,
    )  # fmt: skip
    for name in before:
        known = np.asarray(before[name])
        told_now = np.asarray(after[name])[..., : known.shape[-1]]
        np.testing.assert_allclose(told_now, known, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(
        np.asarray(grown.balance.log_variances), np.asarray(narrow.balance.log_variances)
    )
