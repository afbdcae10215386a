"""Image classification: soft targets, predictions, growth, and a network that learns two
colours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.io.images import encode_png
from aitk.vision.data.options import ClassifyImages
from aitk.vision.models.settings import CnnSettings
from aitk.vision.tasks.classify import Classify

TASK = Classify()
SETTINGS = CnnSettings(image_size="16", filters=4, blocks="1,1", dropout=0.0)
SUMMARY = {"labels": ["blue", "red"], "label_counts": {"train": {"blue": 3, "red": 1}}}


def row(colour: tuple[int, int, int], label: str | None = None, *, side: int = 16):
    image = np.full((side, side, 3), colour, np.uint8)
    fields = {"image": encode_png(image), "name": "p.png", "height": side, "width": side}
    return fields | ({"label": label} if label else {})


RED, BLUE = row((250, 10, 10), "red"), row((10, 10, 250), "blue")


def learned(**given):
    settings = dataclasses.replace(SETTINGS, **given)
    return TASK.learn([RED, BLUE], SUMMARY, settings, note=print), settings


def batch(rows, assets, **how):
    return TASK.collate(TASK.encode(rows, assets), assets, **how)


def test_targets_are_shares_of_the_classes():
    assets, _ = learned()
    made = batch([RED, BLUE], assets)
    assert made.inputs["image"].shape == (2, 16, 16, 3)
    assert made.targets.tolist() == [[0, 1], [1, 0]]


def test_images_laid_over_each_other_share_their_classes():
    assets, _ = learned(mixup=1.0, brightness=0.0, contrast=0.0, saturation=0.0, shift=0.0)
    made = batch([RED, BLUE] * 8, assets, rng=np.random.default_rng(0))
    np.testing.assert_allclose(made.targets.sum(axis=1), 1, atol=1e-6)
    assert ((made.targets > 0) & (made.targets < 1)).any()
    # How red an image is tells how much of its target is red.
    redness = made.inputs["image"][:, 8, 8, 0].astype(float)
    np.testing.assert_allclose((redness - 10) / 240, made.targets[:, 1], atol=0.01)


def test_a_label_that_training_never_saw_has_no_number():
    assets, _ = learned()
    made = batch([RED, row((0, 250, 0), "green")], assets)
    measured = TASK.measure(made, np.array([[0.0, 2.0], [0.0, 0.0]]), assets)
    assert measured["target"].tolist() == [1, -1]
    assert TASK.score(measured, assets).metrics["accuracy"].value == 0.5


def test_balance_weights_the_rare_class():
    assets = TASK.learn([RED, BLUE], SUMMARY, SETTINGS, balance=True, note=print)
    assert batch([RED, BLUE], assets).weights.tolist() == pytest.approx([2, 4 / 6])


def test_smoothing_reaches_the_loss():
    assets, _ = learned(smoothing=0.2)
    loss = TASK.models["cnn"].loss(assets)
    logits = np.array([[0.0, 3.0]])
    expected = -(0.9 * np.log(1 / (1 + np.exp(-3))) + 0.1 * np.log(1 / (1 + np.exp(3))))
    assert float(loss(np.array([[0.0, 1.0]]), logits)) == pytest.approx(expected, abs=1e-5)


def test_predictions_have_the_best_classes():
    assets, _ = learned()
    made = batch([row((250, 10, 10))], assets)
    assert made.targets is None
    [answer] = TASK.decode(made, np.array([[0.0, np.log(3.0)]]), assets, top_k=2)
    assert (answer["prediction"], answer["probability"]) == ("red", 0.75)
    assert [each["label"] for each in answer["top_k"]] == ["red", "blue"]


def test_top_5_is_scored_where_there_are_more_classes():
    labels = [f"c{number}" for number in range(7)]
    counts = {"train": dict.fromkeys(labels, 1)}
    assets = TASK.learn([], {"labels": labels, "label_counts": counts}, SETTINGS, note=print)
    rows = [row((0, 0, 0), "c0"), row((0, 0, 0), "c6")]
    outputs = np.tile(np.arange(7.0), (2, 1))  # c6 is the best, c0 the last
    measured = TASK.measure(batch(rows, assets), outputs, assets)
    metrics = TASK.score(measured, assets, resamples=20).metrics
    assert metrics["top5_accuracy"].value == 0.5
    assert metrics["accuracy"].low <= 0.5 <= metrics["accuracy"].high


def test_it_learns_two_colours_and_grows_a_third(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    assets, settings = learned(flip=0.0)
    model = TASK.models["cnn"].build(settings, assets)
    model.compile(keras.optimizers.Adam(0.02), TASK.models["cnn"].loss(assets))
    made = batch([RED, BLUE] * 4, assets, rng=np.random.default_rng(0))
    for _ in range(12):
        model.train_on_batch(made.inputs["image"], made.targets)
    held_out = batch([BLUE, RED], assets)
    outputs = np.asarray(model(held_out.inputs["image"], training=False))
    assert [answer["prediction"] for answer in TASK.decode(held_out, outputs, assets)] == [
        "blue",
        "red",
    ]
    more = assets.with_labels("label", ("blue", "red", "green"))
    grown = TASK.models["cnn"].grow(model, settings, old=assets, new=more)
    wider = np.asarray(grown(held_out.inputs["image"], training=False))
    np.testing.assert_allclose(wider[:, :2], outputs, atol=1e-5)


def test_another_size_keeps_the_weights_of_a_backbone():
    assets, settings = learned()
    small = TASK.models["cnn"].build(settings, assets).get_layer("backbone")
    larger, _ = learned(image_size="24x16")
    model = TASK.models["cnn"].build(settings, larger, backbone=small)
    assert model.input_shape == (None, 24, 16, 3)
    for old, new in zip(small.weights, model.get_layer("backbone").weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_explanation_draws_and_checks_itself():
    assets, settings = learned()
    model = TASK.models["cnn"].build(settings, assets)

    def predict(rows):
        made = batch(rows, assets)
        return np.asarray(model(made.inputs["image"], training=False))

    for opened in (lambda: model, None):
        told = TASK.explain(row((250, 10, 10)), predict, assets, target="blue", model=opened)
        assert told["explained"] == "blue"
        assert told["method"] == ("RISE" if opened is None else "Grad-CAM++")
        assert {"named", "random", "deletion", "insertion"} <= set(told["faithfulness"])
        assert told["pictures"][0]["png"].startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="label"):
        TASK.explain(row((250, 10, 10)), predict, assets, target="green")


def test_what_predict_leaves_out_is_noted_once(save, tmp_path):
    save("in/1.png"), save("in/2.heic", "x")
    notes = []
    items = TASK.read([str(tmp_path / "in")], ClassifyImages(), labelled=False, note=notes.append)
    assert len(list(items)) == 1
    assert ["2.heic" in note for note in notes] == [True]
