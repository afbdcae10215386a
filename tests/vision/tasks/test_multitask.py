"""One network with several heads: rows with any of the labels, one loss, one prediction, one
score."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.io.images import encode_png
from aitk.vision.features.geometry import VOID
from aitk.vision.features.sample import KNOWN
from aitk.vision.models.multitask import Uncertainty
from aitk.vision.models.multitask_specs import assets_of, heads_of
from aitk.vision.tasks.multitask import Multitask

TASK = Multitask()
SIDE = 32
NAMES = {"label": ["ball", "box"], "boxes": ["ball", "box"], "mask": ["ground", "box", "ball"]}
SMALL = {
    "image_size": str(SIDE), "filters": 4, "blocks": "1,1", "strides": "4,8", "boxes_width": 8,
    "mask_width": 4, "flip": 0.0, "shift": 0.0,
}  # fmt: skip


def row(number: int, *kinds: str) -> dict:
    """A red square or a blue disc, with the annotations that are named."""
    square, left, top, side = number % 2, 4 + number % 7, 3 + number % 5, 16
    image = np.full((SIDE, SIDE, 3), 40, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if square:
        image[top : top + side, left : left + side] = (220, 40, 40)
        mask[top : top + side, left : left + side] = 1
    else:
        cv2.circle(image, (left + 8, top + 8), 8, (40, 60, 230), -1)
        cv2.circle(mask, (left + 8, top + 8), 8, 2, -1)
    name = NAMES["label"][square]
    boxed = "boxes" in kinds
    return {
        "image": encode_png(image),
        "name": str(number),
        "height": SIDE,
        "width": SIDE,
        "label": name if "label" in kinds else "",
        "boxes": np.array([[left, top, left + side, top + side]] * boxed, np.float32),
        "box_labels": [name] * boxed,
        "crowd": np.zeros(int(boxed), np.int32),
        "boxes_known": int(boxed),
        "mask": cv2.imencode(".png", mask)[1].tobytes() if "mask" in kinds else b"",
    }


ROWS = [
    row(0, "label", "boxes", "mask"),
    row(1, "label", "boxes", "mask"),
    row(2, "label"),
    row(3, "boxes"),
    row(4, "mask"),
    row(5),
]


def learned(*kinds: str, **given):
    settings = resolve(TASK.models["cnn"].settings, SMALL, given)
    kinds = kinds or tuple(NAMES)
    names = {kind: NAMES[kind] if kind in kinds else [] for kind in NAMES}
    summary = {"label_sets": names, "labels": NAMES["label"]}
    return TASK.learn(ROWS, summary, settings, note=print), settings


def test_there_is_a_head_for_each_kind_that_the_data_has():
    assert heads_of(learned()[0]) == ["label", "boxes", "mask"]
    assets, _ = learned("label", "mask")
    assert heads_of(assets) == ["label", "mask"]
    assert assets_of("mask", assets).labels == ("ground", "box", "ball")


def test_assets_reload(tmp_path):
    assets, _ = learned(boxes_head="ssd")
    assets.save(tmp_path)
    loaded = TASK.load_assets(tmp_path)
    assert loaded == assets
    assert assets_of("boxes", loaded).parameters["model"] == "ssd"
    assert len(assets_of("boxes", loaded).parameters["anchors"]) == 2


def test_classes_of_several_kinds_cannot_be_balanced():
    settings = resolve(TASK.models["cnn"].settings, SMALL)
    with pytest.raises(UsageError, match="balance|several"):
        TASK.learn(ROWS, {"label_sets": NAMES, "labels": []}, settings, balance=True, note=print)


def test_each_row_records_its_known_annotations():
    assets, _ = learned()
    batch = TASK.collate(TASK.encode(ROWS, assets), assets, rng=np.random.default_rng(0))
    # in the order of the names: boxes, label, mask
    assert batch.targets[KNOWN].tolist() == [
        [1, 1, 1],
        [1, 1, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]
    assert batch.targets["label"].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert (batch.targets["mask"][2] == VOID).all()
    assert batch.targets["boxes"][3, 0].tolist() == [7, 6, 23, 22, 1, 1]


def test_certain_heads_count_more_and_absent_ones_not_at_all():
    layer = Uncertainty(2)
    losses, both, first = (np.array(values, np.float32) for values in ([2, 4], [1, 1], [1, 0]))
    assert float(layer(losses, both)) == pytest.approx(6)
    layer.log_variances.assign([np.log(4), 0])
    assert float(layer(losses, both)) == pytest.approx(2 / 4 + np.log(4) / 2 + 4)
    assert float(layer(losses, first)) == pytest.approx(2 / 4 + np.log(4) / 2)


def test_what_is_learned_is_twice_the_loss():
    layer = Uncertainty(2)
    losses, present = np.array([0.5, 3], np.float32), np.ones(2, np.float32)
    layer(losses, present)
    # Where the derivative of loss / v + log(v) / 2 is 0.
    layer.log_variances.assign(np.log(2 * losses))
    best = float(layer(losses, present))
    for change in (-0.1, 0.1):
        layer.log_variances.assign(np.log(2 * losses) + change)
        assert float(layer(losses, present)) > best


@pytest.fixture(scope="module")
def made():
    keras.utils.set_random_seed(0)
    assets, settings = learned()
    model = TASK.models["cnn"].build(settings, assets)
    # Run without a graph: compiling takes longer than all steps.
    model.compile(
        keras.optimizers.Adam(1e-2), loss=TASK.models["cnn"].loss(assets), run_eagerly=True
    )
    return model, assets


def test_the_backbone_runs_once_under_all_heads(made):
    model, _ = made
    assert [layer.name for layer in model.layers].count("backbone") == 1
    assert {name: tuple(output.shape) for name, output in model.output.items()} == {
        "boxes": (None, 100, 6),
        "label": (None, 2),
        "mask": (None, SIDE, SIDE, 3),
    }


def test_rows_without_a_label_teach_nothing_about_it(made):
    model, assets = made
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    outputs = model(batch.inputs, training=True)
    before = float(model.compute_loss(None, batch.targets, outputs, batch.weights))
    known = batch.targets[KNOWN]
    for place, kind in enumerate(sorted(outputs)):
        told = np.array(outputs[kind])
        columns = slice(3, None) if kind == "boxes" else slice(None)  # its first three are places
        told[known[:, place] == 0, ..., columns] += 1.5
        changed = dict(outputs) | {kind: keras.ops.convert_to_tensor(told)}
        after = float(model.compute_loss(None, batch.targets, changed, batch.weights))
        assert after == pytest.approx(before, rel=1e-5)
        told[known[:, place] == 1, ..., columns] += np.linspace(0, 3, told[..., columns].shape[-1])
        changed = dict(outputs) | {kind: keras.ops.convert_to_tensor(told)}
        assert float(model.compute_loss(None, batch.targets, changed)) != pytest.approx(before)


def test_it_learns_its_weights_of_the_heads_and_reloads(made, tmp_path):
    model, assets = made
    examples = TASK.encode(ROWS[:5], assets)
    losses = []
    for step in range(8):
        batch = TASK.collate(examples, assets, rng=np.random.default_rng(step))
        losses.append(float(model.train_on_batch(batch.inputs, batch.targets, batch.weights)))
        model.reset_metrics()
    assert losses[-1] < losses[0]
    assert np.abs(np.asarray(model.balance.log_variances)).min() > 0
    plain = type(model).from_config(model.get_config())
    plain.set_weights(model.get_weights())
    plain.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    image = TASK.collate(examples, assets).inputs["image"]
    for name, output in model({"image": image}, training=False).items():
        found = loaded({"image": image}, training=False)[name]
        np.testing.assert_allclose(np.asarray(found), np.asarray(output), atol=1e-5)
    np.testing.assert_array_equal(
        np.asarray(loaded.balance.log_variances), np.asarray(model.balance.log_variances)
    )


def perfect(batch) -> dict[str, np.ndarray]:
    """The outputs of a perfect model."""
    rows = len(batch.targets[KNOWN])
    boxes = np.zeros((rows, 16, 6), np.float32)
    boxes[..., :4] = batch.targets["boxes"][..., :4]
    boxes[..., 4] = 0.9 * (batch.targets["boxes"][..., 5] > 0)
    boxes[..., 5] = batch.targets["boxes"][..., 4]
    mask = np.where(batch.targets["mask"] == VOID, 0, batch.targets["mask"])
    return {
        "label": 9 * batch.targets["label"],
        "boxes": boxes,
        "mask": 9 * np.eye(3, dtype=np.float32)[mask],
    }


def test_a_prediction_contains_those_of_all_heads():
    assets, _ = learned()
    batch = TASK.collate(TASK.encode(ROWS[:2], assets), assets)
    _, answer = TASK.decode(batch, perfect(batch), assets, top_k=2)
    assert answer["prediction"] == "box"
    assert answer["probability"] == pytest.approx(1, abs=1e-3)
    assert len(answer["top_k"]) == 2
    (box,) = answer["boxes"]
    assert (box["label"], box["box"]) == ("box", [5, 4, 21, 20])
    assert answer["classes"] == {"ground": 0.75, "box": 0.25}
    assert [part["label"] for part in answer["mask"]] == ["ground", "box"]
    assert TASK.draw(ROWS[1], answer).dtype == np.uint8


def test_the_score_is_the_mean_of_the_heads_over_annotated_rows():
    assets, _ = learned()
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    outputs = perfect(batch)
    measured = TASK.measure(batch, outputs, assets)
    scored = TASK.score(measured, assets, resamples=20)
    assert [scored.metrics[name].value for name in ("label_accuracy", "boxes_map50")] == [1, 1]
    assert scored.metrics["mask_mean_iou"].value == scored.metrics["mean_score"].value == 1
    assert next(iter(scored.metrics)) == TASK.metric.name
    outputs["label"] = outputs["label"][:, ::-1]
    worse = TASK.score(TASK.measure(batch, outputs, assets), assets, resamples=20)
    assert worse.metrics["label_accuracy"].value == 0
    assert worse.metrics["mean_score"].value == pytest.approx(2 / 3)
    assert worse.metrics["mean_score"].low is None  # six images are too few
    # Of the first two rows all is known, of the others one kind, of the last nothing.
    assert worse.per_row == pytest.approx([2 / 3, 2 / 3, 0, 1, 1, 2 / 3])


def test_the_baseline_predicts_the_majority_of_each_head_and_no_boxes():
    assets, _ = learned()
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    measured = TASK.measure(batch, perfect(batch), assets)
    counts = {kind: {"train": {"box": 2, "ball": 1}} for kind in NAMES}
    (baseline,) = TASK.baselines(ROWS, {"label_set_counts": counts}, assets)
    metrics = TASK.score(baseline.measure(ROWS, measured), assets).metrics
    assert metrics["label_accuracy"].value == pytest.approx(1 / 3)
    assert metrics["boxes_map50"].value == 0
    assert 0.2 < metrics["mask_mean_iou"].value < 0.33  # the ground alone, of three classes


def test_unannotated_rows_cannot_be_scored():
    assets, _ = learned()
    batch = TASK.collate(TASK.encode(ROWS[5:], assets), assets)
    with pytest.raises(DataError, match="no row"):
        TASK.score(TASK.measure(batch, perfect(batch), assets), assets)


def test_a_single_head_puts_out_its_array_alone():
    assets, _ = learned("label")
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    logits = 9 * batch.targets["label"]
    scored = TASK.score(TASK.measure(batch, logits, assets), assets)
    assert scored.metrics["mean_score"].value == scored.metrics["label_accuracy"].value == 1
    assert TASK.decode(batch, logits, assets)[1]["prediction"] == "box"
