"""Segmentation: images of any size to masks of that size, whole, in tiles and mirrored."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.progress import Silent
from aitk.core.inference.evaluation import evaluate_rows
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.images import encode_png
from aitk.vision.data.formats.masks import encode_mask
from aitk.vision.data.formats.run_lengths import decode_runs
from aitk.vision.data.items import ClassMask
from aitk.vision.data.options import SegmentPredictOptions
from aitk.vision.decoding.masks import BATCH_SIZE
from aitk.vision.features.geometry import VOID
from aitk.vision.models.segmenters.settings import UNetSettings
from aitk.vision.tasks.segment import Segment

TASK = Segment()
LABELS = ("sky", "road", "car")
COLOURS = np.array([[60, 120, 250], [120, 120, 120], [230, 20, 20]], np.uint8)
SUMMARY = {"labels": list(LABELS)}
STILL = {"flip": 0.0, "shift": 0.0, "scale": 0.0, "brightness": 0.0, "contrast": 0.0}
SETTINGS = UNetSettings(
    image_size="32", filters=4, blocks="1,1", width=4, dropout=0.0, saturation=0.0, **STILL
)


def scene(*, height=32, width=32, car=None, void=0):
    """Class numbers of a sky over a road with a car on it, the last columns void."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 :] = 1
    left = width // 4 if car is None else car
    mask[height * 5 // 8 : height * 7 // 8, left : left + width // 3] = 2
    if void:
        mask[:, -void:] = VOID
    return mask


def row(mask, *, labelled=True, names=LABELS):
    image = COLOURS[np.minimum(mask, 2)]
    height, width = mask.shape
    fields = {"image": encode_png(image), "name": "s.png", "height": height, "width": width}
    return fields | ({"mask": encode_mask(ClassMask(mask, names))} if labelled else {})


def learned(**given):
    settings = dataclasses.replace(SETTINGS, **given)
    return TASK.learn([row(scene())], SUMMARY, settings, note=print), settings


def batch(rows, assets, **how):
    return TASK.collate(TASK.encode(rows, assets), assets, **how)


def by_colour(inputs):
    """A model that takes each pixel for the class of the nearest colour."""
    images = inputs["image"].astype(float)
    return -(np.abs(images[..., None, :] - COLOURS.astype(float)).sum(axis=-1)) / 20


def answered(masks, assets, *, options=None, labelled=False, predict=by_colour):
    assets = TASK.configure(assets, options, open_scorer=None)
    made = batch([row(mask, labelled=labelled) for mask in masks], assets)
    return made, TASK.infer(made, predict, assets, options=options)


SIZES = [(32, 32), (64, 96), (20, 50), (90, 40)]


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_masks_come_back_in_the_pixels_of_the_original(fit):
    assets, _ = learned(fit=fit)
    masks = [scene(height=height, width=width) for height, width in SIZES]
    _, found = answered(masks, assets)
    for mask, each in zip(masks, found, strict=True):
        assert each.mask.shape == each.certainty.shape == mask.shape
        assert (each.mask == mask).mean() > 0.9
    assert (found[0].mask == masks[0]).all()


def test_what_was_cut_off_is_left_without_a_class():
    assets, _ = learned(fit="crop")
    _, (found,) = answered([scene(height=32, width=64)], assets)
    assert (found.mask[:, :16] == VOID).all() and (found.mask[:, 48:] == VOID).all()
    assert (found.mask[:, 16:48] == scene(height=32, width=64)[:, 16:48]).all()


@pytest.mark.parametrize("trained", ["whole", "tiles"])
def test_tiles_show_a_large_image_in_its_own_resolution(trained):
    assets, _ = learned(view=trained)
    masks = [scene(height=height, width=width) for height, width in SIZES]
    made, found = answered(masks, assets, options=SegmentPredictOptions(view="tiles"))
    assert made.inputs["image"].shape == (4, 32, 32, 3)
    for mask, each in zip(masks, found, strict=True):
        assert (each.mask == mask).all()


def test_a_model_of_tiles_may_look_at_whole_images():
    assets, _ = learned(view="tiles")
    tiles, whole = (
        answered([scene(height=64, width=64)], assets, options=SegmentPredictOptions(view=view))[1][
            0
        ]
        for view in (None, "whole")
    )
    assert (tiles.mask == scene(height=64, width=64)).all()
    assert whole.mask.shape == (64, 64)
    assert (whole.mask != tiles.mask).any()


def test_the_mirrored_image_is_predicted_too():
    assets, _ = learned()

    def left_only(inputs):
        """A model that is correct in the left half, and predicts sky elsewhere."""
        logits = by_colour(inputs)
        logits[:, :, 16:] = (4.0, 0.0, 0.0)
        return logits

    truth = scene()
    _, (plain,) = answered([truth], assets, predict=left_only)
    _, (both,) = answered(
        [truth], assets, predict=left_only, options=SegmentPredictOptions(mirror=True)
    )
    assert (plain.mask[16:, 16:] == 0).all()
    assert (both.mask == truth).all()


@pytest.mark.parametrize("view", ["whole", "tiles"])
def test_few_images_are_held_as_logits_at_once(view):
    assets, _ = learned()
    counts = []

    def watched(inputs):
        counts.append(len(inputs["image"]))
        return by_colour(inputs)

    masks = [scene(height=40, width=400)] * (2 * BATCH_SIZE + 1)
    answered(masks, assets, predict=watched, options=SegmentPredictOptions(view=view))
    assert max(counts) == BATCH_SIZE


def test_a_prediction_has_shares_and_run_lengths():
    assets, _ = learned()
    made, found = answered([scene()], assets)
    (answer,) = TASK.decode(made, found, assets)
    assert answer["classes"] == {"sky": 0.5, "road": 0.421875, "car": 0.078125}
    assert 0.9 < answer["probability"] <= 1
    assert [part["label"] for part in answer["mask"]] == ["sky", "road", "car"]
    for part in answer["mask"]:
        runs = decode_runs(part, height=32, width=32)
        assert (runs == (scene() == LABELS.index(part["label"]))).all()
    drawn = TASK.draw(row(scene()), answer)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3


def test_the_table_of_the_worst_predictions_has_no_run_lengths():
    assets, _ = learned()
    rows = [row(scene(height=64, width=80))]
    evaluated = evaluate_rows(rows, TASK, assets, by_colour, reporter=Silent(), resamples=0)
    assert set(evaluated.worst[0]) == {"name", "height", "width", "classes", "probability"}
    assert evaluated.rows[0]["prediction"]["mask"]


@pytest.mark.parametrize("trained", ["whole", "tiles"])
def test_the_view_that_is_requested_is_scored(trained):
    assets, _ = learned(view=trained)
    rows = [row(scene(height=64, width=80)), row(scene(height=64, width=96))]

    def score(options):
        own = TASK.configure(assets, options, open_scorer=None)
        measured = measure_rows(rows, TASK, own, by_colour, batch_size=2, options=options)
        return TASK.score(measured, own).metrics["mean_iou"].value

    whole, tiles = (score(SegmentPredictOptions(view=view)) for view in ("whole", "tiles"))
    assert whole < 0.99 < tiles == 1
    assert score(None) == (whole if trained == "whole" else tiles)


@pytest.mark.parametrize("view", ["whole", "tiles"])
def test_scores_are_those_of_the_original_pixels(view):
    assets, _ = learned(view=view)
    masks = [scene(height=64, width=80, void=5), scene(height=40, width=40)]
    made, found = answered(masks, assets, labelled=True)
    measured = TASK.measure(made, found, assets)
    assert measured["confusion"].sum(axis=(1, 2)).tolist() == [64 * 75, 40 * 40]
    scored = TASK.score(measured, assets, resamples=20)
    assert next(iter(scored.metrics)) == TASK.metric.name
    assert scored.metrics["mean_iou"].value > (0.8 if view == "whole" else 0.999)


def test_the_baseline_takes_all_pixels_for_the_most_frequent_class():
    assets, _ = learned()
    mask = scene()
    rows = [row(mask)]
    made, found = answered([mask], assets, labelled=True)
    measured = TASK.measure(made, found, assets)
    (baseline,) = TASK.baselines(rows, {}, assets)
    scored = TASK.score(baseline.measure(rows, measured), assets)
    assert scored.metrics["pixel_accuracy"].value == pytest.approx((mask == 0).mean())
    assert scored.metrics["boundary_f1"].value == 0


def test_masks_of_other_data_are_read_by_the_names_of_their_classes():
    assets, _ = learned()
    swapped = np.choose(scene(), [1, 0, 2, *[VOID] * 29]).astype(np.uint8)
    fields = row(scene()) | {"mask": encode_mask(ClassMask(swapped, ("road", "sky", "car")))}
    made = batch([fields], assets)
    assert (made.targets[0] == scene()).all()
    found = TASK.infer(made, by_colour, assets)
    assert TASK.score(TASK.measure(made, found, assets), assets).metrics["mean_iou"].value == 1


def test_training_on_tiles_draws_pieces_with_their_masks():
    assets, _ = learned(view="tiles")
    rows = [row(scene(height=64, width=96))] * 6
    made = batch(rows, assets, rng=np.random.default_rng(0))
    assert made.inputs["image"].shape == (6, 32, 32, 3)
    assert (COLOURS[made.targets] == made.inputs["image"]).all()
    assert len({each.tobytes() for each in made.targets}) > 1


def test_void_is_what_augmentation_brings_in():
    assets, _ = learned(shift=0.4)
    made = batch([row(scene(void=3))] * 8, assets, rng=np.random.default_rng(0))
    assert made.targets.dtype == np.uint8
    assert (made.targets == VOID).mean() > 3 / 32


def test_assets_keep_the_loss_and_the_weights_of_the_classes(tmp_path):
    settings = dataclasses.replace(SETTINGS, loss="focal", view="tiles")
    assets = TASK.learn([row(scene(void=8))], SUMMARY, settings, balance=True, note=print)
    # 512 of 1,024 pixels are sky, a fourth of them void; 80 are of the car, all of them known.
    counts = [int((scene(void=8) == number).sum()) for number in range(3)]
    assert assets.weights == pytest.approx([np.median(counts) / count for count in counts])
    assets.save(tmp_path)
    assert TASK.load_assets(tmp_path) == assets
    loss = TASK.models["unet"].loss(assets)
    assert (loss.terms, loss.class_weights) == ("focal", assets.weights)


@pytest.fixture(scope="module")
def trained():
    """A U-Net after a few seconds with cars at all places."""
    import keras

    keras.utils.set_random_seed(0)
    assets, settings = learned()
    model = TASK.models["unet"].build(settings, assets)
    model.compile(keras.optimizers.Adam(0.02), TASK.models["unet"].loss(assets))
    rows = [row(scene(car=place)) for place in range(0, 20, 2)]
    made = batch(rows, assets)
    model.fit(made.inputs, made.targets, epochs=60, batch_size=10, verbose=0)
    return model, assets


def predictor(model, assets):
    """The function passed by the stage ``explain``: rows to outputs."""
    from aitk.core.inference.predictors import KerasPredictor

    predict = KerasPredictor(model)
    return lambda rows: predict(batch(rows, assets).inputs)


def test_a_network_learns_the_scene(trained):
    from aitk.core.inference.predictors import KerasPredictor

    model, assets = trained
    made = batch([row(scene(car=place)) for place in range(1, 20, 2)], assets)
    found = TASK.infer(made, KerasPredictor(model), assets)
    scored = TASK.score(TASK.measure(made, found, assets), assets)
    assert scored.metrics["mean_iou"].value > 0.8


@pytest.mark.parametrize("gradients", [True, False])
def test_an_explanation_draws_prediction_truth_certainty_and_reason(
    trained, monkeypatch, gradients
):
    from aitk.vision.explain import saliency

    model, assets = trained
    monkeypatch.setattr(saliency, "MASKS", 32)
    monkeypatch.setattr(saliency, "STEPS", 4)
    told = TASK.explain(
        row(scene(car=6)),
        predictor(model, assets),
        assets,
        target="car",
        model=(lambda: model) if gradients else None,
    )
    assert told["explained"] == "car" and told["prediction"] == "sky"
    assert told["method"] == ("Grad-CAM" if gradients else "RISE")
    assert 0 < told["share"] < 0.3 and told["probability"] > 0.5
    captions = [image["caption"] for image in told["pictures"]]
    assert captions[:2] == ["prediction", "truth"] and len(captions) == 4
    assert all(image["png"].startswith(b"\x89PNG") for image in told["pictures"])


def test_a_piece_is_explained_where_the_model_reads_tiles(trained, monkeypatch):
    from aitk.vision.explain import saliency

    model, assets = trained
    monkeypatch.setattr(saliency, "STEPS", 2)
    assets = dataclasses.replace(assets, parameters={**assets.parameters, "view": "tiles"})
    fields = row(scene(height=40, width=70), labelled=False)
    told = TASK.explain(fields, predictor(model, assets), assets, model=lambda: model)
    assert told["explained"] in LABELS
    assert len(told["pictures"]) == 3


def test_only_a_known_class_is_explained(trained):
    model, assets = trained
    with pytest.raises(UsageError, match="boat"):
        TASK.explain(row(scene()), predictor(model, assets), assets, target="boat")


def test_new_classes_are_grown_into(trained):
    model, assets = trained
    wider = assets.with_labels("mask", (*LABELS, "tree"))
    grown = TASK.models["unet"].grow(model, SETTINGS, old=assets, new=wider)
    images = batch([row(scene())], assets).inputs
    before, after = np.asarray(model(images)), np.asarray(grown(images))
    assert after.shape[-1] == 4
    assert after[..., :3] == pytest.approx(before, abs=1e-4)
