"""Detection as a task: from stored rows to boxes in the original, their files and scores."""

import dataclasses
import json

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.inference.evaluation import evaluate_rows
from aitk.core.io.images import decode_checked, encode_png
from aitk.vision.data.formats.coco_results import CocoResults
from aitk.vision.data.options import DetectImages, DetectPredictOptions
from aitk.vision.features.sample import Sample
from aitk.vision.models.detectors.settings import (
    FasterRcnnSettings,
    SsdSettings,
    YoloSettings,
    parse_strides,
)
from aitk.vision.tasks.detect import Detect, pad_objects

SUMMARY = {"labels": ["cell", "clot"]}
SMALL = {"image_size": "32x40", "filters": 8, "blocks": "1,1,1", "strides": "4,8", "width": 8}


def row(*boxes, labels=None, crowd=None, height=64, width=80):
    image = np.full((height, width, 3), 90, np.uint8)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = 200
    return {
        "image": encode_png(image),
        "name": "a.png",
        "height": height,
        "width": width,
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "box_labels": labels or ["cell"] * len(boxes),
        "crowd": np.array(crowd or [0] * len(boxes), np.int32),
    }


def learned(settings, rows=(), **more):
    return Detect().learn(list(rows), SUMMARY, settings, **more, note=print)


def collated(rows, assets, **more):
    task = Detect()
    return task.collate(task.encode(rows, assets), assets, **more)


def still(settings):
    """The settings without augmentation."""
    knobs = ("flip", "shift", "scale", "brightness", "contrast", "saturation")
    return dataclasses.replace(settings, **dict.fromkeys(knobs, 0.0))


def test_the_worst_predictions_list_and_show_missed_objects():
    task, assets = Detect(), learned(YoloSettings(**SMALL))
    fields = row([8, 8, 24, 24], [40, 32, 72, 56])

    def predict(inputs):
        """Finds the first object, and one that is not there, in pixels of the model."""
        found = np.zeros((len(inputs["image"]), 4, 6), np.float32)
        found[:, :2] = [[4, 4, 12, 12, 0.9, 0], [30, 2, 38, 10, 0.8, 0]]
        return found

    evaluated = evaluate_rows([fields], task, assets, predict, reporter=Silent(), resamples=0)
    (line,) = evaluated.worst
    assert (line["missed"], line["false_boxes"]) == (1, 1)
    assert "image" not in line
    (answer,) = (each["prediction"] for each in evaluated.rows)
    unknown = {name: fields[name] for name in ("image", "name", "height", "width")}
    (shown,) = (decode_checked(each["png"]) for each in evaluated.pictures)
    differing = (shown != task.draw(unknown, answer)).any(axis=2)
    scale = shown.shape[0] // 64
    assert differing[32 * scale : 56 * scale, 40 * scale : 72 * scale].any()  # the missed one
    assert not differing[10 * scale : 24 * scale, 10 * scale : 22 * scale].any()  # the right one


def test_objects_are_padded_with_empty_ones():
    sample = Sample(
        np.zeros((8, 8, 3), np.uint8),
        boxes=np.array([[1, 1, 4, 4], [2, 2, 8, 8]], np.float32),
        classes=np.array([1, -1], np.int32),
        crowd=np.array([1, 0], np.int32),
    )
    padded = pad_objects([sample, Sample(np.zeros((8, 8, 3), np.uint8))])
    assert padded.shape == (2, 16, 6)
    assert padded[0, :2].tolist() == [[1, 1, 4, 4, 1, 0], [2, 2, 8, 8, -1, 1]]
    assert not padded[0, 2:].any()
    assert not padded[1].any()


def test_a_batch_holds_boxes_of_the_model_and_of_the_original():
    assets = learned(YoloSettings(**SMALL))
    batch = collated([row((20, 16, 60, 48), labels=["clot"])], assets)
    assert batch.inputs["image"].shape == (1, 32, 40, 3)
    assert batch.targets[0, 0].tolist() == [10, 8, 30, 24, 1, 1]
    assert batch.context["boxes"][0].tolist() == [[20, 16, 60, 48]]


def test_anchors_are_learned_where_a_model_has_them():
    rows = [row((0, 0, 16, 16), (20, 20, 60, 60))] * 3
    assert "anchors" not in learned(YoloSettings(**SMALL), rows).parameters
    for settings, count in ((SsdSettings(**SMALL), 4), (FasterRcnnSettings(**SMALL), 3)):
        anchors = np.array(learned(settings, rows).parameters["anchors"])
        assert anchors.shape == (2, count, 2)
        # At half the size: 8 and 20 pixels.
        assert {tuple(side) for side in anchors.reshape(-1, 2)} >= {(8, 8), (20, 20)}


def test_assets_keep_the_model_and_its_anchors(tmp_path):
    assets = learned(SsdSettings(**SMALL), [row((0, 0, 16, 16))])
    assets.save(tmp_path)
    assert Detect().load_assets(tmp_path) == assets


def test_balance_is_refused():
    with pytest.raises(UsageError, match="balanced"):
        learned(YoloSettings(**SMALL), balance=True)


def outputs(*rows):
    table = np.zeros((1, 5, 6), np.float32)
    table[0, : len(rows)] = rows
    return table


def answered(assets, table, **given):
    batch = collated([row()], assets)
    options = resolve(DetectPredictOptions, given) if given else None
    return Detect().decode(batch, table, assets, options=options)[0]["boxes"]


def test_boxes_are_in_pixels_of_the_original():
    assets = learned(YoloSettings(**SMALL))
    table = outputs([10, 8, 30, 24, 0.9, 1], [0, 0, 40, 32, 0.5, 0], [1, 1, 2, 2, 0.2, 0])
    assert answered(assets, table) == [
        {"label": "clot", "number": 2, "score": 0.9, "box": [20, 16, 60, 48]},
        {"label": "cell", "number": 1, "score": 0.5, "box": [0, 0, 80, 64]},
    ]


def test_options_select_the_reported_boxes():
    assets = learned(YoloSettings(**SMALL))
    table = outputs([10, 8, 30, 24, 0.9, 1], [0, 0, 40, 32, 0.5, 0], [1, 1, 2, 2, 0.2, 0])
    assert len(answered(assets, table, min_score=0)) == 3  # empty rows are none
    assert len(answered(assets, table, min_score=0.6)) == 1
    assert len(answered(assets, table, min_score=0, max_boxes=2)) == 2


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_correct_predictions_are_perfect_for_every_fit(fit):
    settings = dataclasses.replace(YoloSettings(**SMALL), fit=fit)
    assets = learned(settings)
    task = Detect()
    rows = [row((30, 20, 50, 44), height=64, width=100), row((8, 8, 40, 40), labels=["clot"])]
    batch = collated(rows, assets)
    table = np.zeros((2, 5, 6), np.float32)
    for line, truth in zip(table, batch.targets, strict=True):
        line[0] = [*truth[0, :4], 0.8, truth[0, 4]]
    scored = task.score(task.measure(batch, table, assets), assets, resamples=10)
    assert scored.metrics["map50"].value == pytest.approx(1)
    assert scored.metrics["map"].value == pytest.approx(1)
    assert scored.per_row.tolist() == [1, 1]


def test_measures_of_batches_can_be_joined():
    assets = learned(YoloSettings(**SMALL))
    task = Detect()
    few, many = [row((0, 0, 20, 20))], [row((0, 0, 20, 20), (30, 30, 50, 50), crowd=[0, 1])] * 2
    parts = [
        task.measure(collated(rows, assets), np.zeros((len(rows), 5, 6), np.float32), assets)
        for rows in (few, many)
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert [each.shape for each in joined["objects"]] == [(1, 6), (2, 6), (2, 6)]
    assert joined["objects"][1][:, 5].tolist() == [1, 0]
    assert task.score(joined, assets).metrics["map50"].value == 0


@pytest.mark.parametrize("source", ["in/boxes.json", "in"], ids=["the file", "its folder"])
def test_coco_results_have_the_ids_of_the_file_that_names_the_images(save, tmp_path, source):
    """As pycocotools reads them."""
    from pycocotools.coco import COCO

    save("in/images/a.png"), save("in/images/b.png")
    content = {
        "images": [{"id": 70, "file_name": "b.png"}, {"id": 80, "file_name": "a.png"}],
        "annotations": [],
        "categories": [{"id": 9, "name": "clot"}, {"id": 5, "name": " cell"}],
    }
    truth = save("in/boxes.json", json.dumps(content))
    task = Detect()
    lines = task.prediction_formats[".json"]()
    rows = task.read([str(tmp_path / source)], DetectImages(), labelled=False, note=print)
    box = {"label": "clot", "number": 1, "score": 0.9, "box": [2, 1, 6, 4]}
    other = box | {"label": "washer", "number": 3}
    text = lines.format([{**row.record, "boxes": [box, other]} for row in rows]) + lines.tail()
    found = save("found.json", text)
    loaded = COCO(str(truth)).loadRes(str(found))
    named = {each["id"]: each["file_name"] for each in loaded.loadImgs(loaded.getImgIds())}
    told = {(named[note["image_id"]], note["category_id"]) for note in loaded.anns.values()}
    assert told == {("a.png", 9), ("b.png", 9), ("a.png", 12), ("b.png", 12)}


def test_the_number_of_a_class_is_its_id_in_the_file_it_was_learnt_from():
    assets = learned(YoloSettings(**SMALL))
    ids = {"category_ids": {"cell": 4, "clot": 11}}
    assets = dataclasses.replace(assets, parameters={**assets.parameters, **ids})
    (box,) = answered(assets, outputs([10, 8, 30, 24, 0.9, 1]))
    assert (box["label"], box["number"]) == ("clot", 11)


def test_coco_results_are_one_list_over_all_parts():
    box = {"label": "clot", "number": 2, "score": 0.9, "box": [20, 16, 60.5, 48]}
    lines = CocoResults()
    text = lines.format([{"image": "a.png", "boxes": []}])
    text += lines.format([{"image": "000042.jpg", "boxes": [box]}, {"error": "damaged"}])
    resumed = CocoResults()  # as after an interruption
    resumed.columns = lines.columns
    text += resumed.format([{"image": "b.png", "boxes": [box]}]) + resumed.tail()
    first, second = json.loads(text)
    assert first == {
        "image_id": 42, "category_id": 2, "category_name": "clot", "bbox": [20, 16, 40.5, 32],
        "score": 0.9,
    }  # fmt: skip
    assert second["image_id"] == "b.png"
    assert json.loads(CocoResults().tail()) == []


def test_strides_are_checked():
    assert parse_strides("4, 8,16") == (4, 8, 16)
    for wrong in ("8,8", "3,6", "8;16", "16,8", ""):
        with pytest.raises(UsageError, match="strides"):
            parse_strides(wrong)


@pytest.mark.parametrize("name", list(Detect.models))
def test_every_model_is_built_with_its_loss_and_grows(name):
    import keras

    keras.utils.set_random_seed(0)
    spec = Detect.models[name]
    settings = resolve(spec.settings, SMALL)
    rows = [row((0, 0, 24, 24), (30, 30, 70, 60), labels=["cell", "clot"])] * 2
    assets = learned(still(settings), rows)
    model = spec.build(settings, assets)
    assert model.get_layer("backbone").count_params() > 0
    batch = collated(rows, assets, rng=np.random.default_rng(0))
    loss = spec.loss(assets).call(batch.targets, model(batch.inputs, training=True))
    assert loss.shape == (2,)
    assert np.isfinite(np.asarray(loss)).all()

    before = np.asarray(model(batch.inputs, training=True))
    grown = spec.grow(
        model, settings, old=assets, new=assets.with_labels("boxes", ("cell", "clot", "dust"))
    )
    after = np.asarray(grown(batch.inputs, training=True))
    assert after.shape[-1] == before.shape[-1] + 1
    if name != "faster-rcnn":  # what is told of the old classes stays
        assert after[..., :-1] == pytest.approx(before, abs=1e-4)


def test_an_explanation_names_the_surest_box_of_a_class():
    assets = learned(YoloSettings(**SMALL))
    shown = row((20, 16, 60, 48), labels=["clot"])

    def predict(rows):
        """Finds a clot as surely as its place is bright."""
        batch = Detect().collate(Detect().encode(rows, assets), assets)
        bright = batch.inputs["image"][:, 8:24, 10:30].mean(axis=(1, 2, 3)) / 255
        table = np.zeros((len(rows), 5, 6), np.float32)
        table[:, 0] = [10, 8, 30, 24, 0, 1]
        table[:, 0, 4] = bright
        return table

    found = Detect().explain(shown, predict, assets)
    assert found["prediction"] == "clot"
    assert found["box"] == "20, 16, 60, 48"
    assert found["faithfulness"]["named"] > found["faithfulness"]["random"]
    assert found["pictures"][0]["png"].startswith(b"\x89PNG")
    nothing = Detect().explain(shown, predict, assets, target="cell")
    assert nothing["prediction"] == ""
    assert nothing["note"] == "no cell was found: nothing to explain"
    with pytest.raises(UsageError, match="unknown label"):
        Detect().explain(shown, predict, assets, target="clott")
