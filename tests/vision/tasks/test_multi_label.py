"""Images with any number of labels: reading, targets, mixing, growth, and a network that learns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.io.images import encode_png
from aitk.vision.data.options import ClassifyImages
from aitk.vision.models.settings import CnnSettings
from aitk.vision.tasks.classify import Classify, MultiLabelClassify

TASK = Classify().for_reading(ClassifyImages(label_separator="|"))
SETTINGS = CnnSettings(image_size="16", filters=4, blocks="1,1", dropout=0.0)
SUMMARY = {
    "labels": ["blue", "red"],
    "label_counts": {"train": {"blue": 3, "red": 1}},
    "rows": {"train": 4},
}


def row(red: bool, blue: bool, *more: str):
    image = np.zeros((16, 16, 3), np.uint8)
    image[:8, :, 0], image[8:, :, 2] = 250 * red, 250 * blue
    labels = [name for name, has in (("red", red), ("blue", blue)) if has]
    fields = {"image": encode_png(image), "name": "p.png", "height": 16, "width": 16}
    return fields | {"labels": [*labels, *more]}


ROWS = [row(red, blue) for red in (False, True) for blue in (False, True)]


def learned(**given):
    settings = dataclasses.replace(SETTINGS, **given)
    return TASK.learn(ROWS, SUMMARY, settings, note=print), settings


def batch(rows, assets, **how):
    return TASK.collate(TASK.encode(rows, assets), assets, **how)


def test_the_reading_options_choose_the_variant():
    assert isinstance(TASK, MultiLabelClassify)
    assert TASK.metric.name == "micro_f1"
    assert type(Classify().for_reading(ClassifyImages())) is Classify


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("file,labels\na.png,red|blue\nb.png,\n", {"label_separator": "|"}),
        ("file,red,blue\na.png,1,1\nb.png,0,0\n", {"label_columns": ["red", "blue"]}),
    ],
)
def test_a_table_names_any_number_of_labels(tmp_path, table, options):
    for name, fields in (("a", ROWS[3]), ("b", ROWS[0])):
        (tmp_path / f"{name}.png").write_bytes(fields["image"])
    (tmp_path / "rows.csv").write_text(table)
    reading = ClassifyImages(**options)
    rows = TASK.read([str(tmp_path)], reading, labelled=True, note=print)
    assert [sorted(each.fields["labels"]) for each in rows] == [["blue", "red"], []]


def test_rows_are_stored_as_a_sequence_of_labels():
    features = TASK.features(SUMMARY)
    assert features["labels"].feature.names == ["blue", "red"]
    assert "label" not in features


def test_targets_mark_each_label_and_count_unseen_ones_last():
    assets, _ = learned()
    made = batch([*ROWS, row(True, False, "green", "black")], assets)
    assert made.targets.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 2]]
    measured = TASK.measure(made, np.zeros((5, 2)), assets)
    assert measured["unseen"].tolist() == [0, 0, 0, 0, 2]


def test_images_laid_over_each_other_share_their_labels():
    assets, _ = learned(mixup=1.0, brightness=0.0, contrast=0.0, saturation=0.0, shift=0.0)
    made = batch(ROWS * 4, assets, rng=np.random.default_rng(0))
    redness = made.inputs["image"][:, 4, 8, 0].astype(float) / 250
    np.testing.assert_allclose(redness, made.targets[:, 1], atol=0.01)
    assert ((redness > 0.1) & (redness < 0.9)).any()


def test_it_learns_two_colours_and_grows_a_third(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    assets, settings = learned(shift=0.0, brightness=0.0, contrast=0.0, saturation=0.0)
    spec = TASK.models["cnn"]
    model = spec.build(settings, assets)
    model.compile(keras.optimizers.Adam(1e-2), loss=spec.loss(assets))
    made = batch(ROWS * 4, assets)
    for _ in range(60):
        model.train_on_batch(made.inputs, made.targets, made.weights)
    outputs = np.asarray(model(made.inputs, training=True))
    tuned = TASK.calibrate(TASK.measure(made, outputs, assets), assets)
    scores = TASK.score(TASK.measure(made, outputs, tuned), tuned).metrics
    assert scores["micro_f1"].value == 1
    tuned.save(tmp_path)
    loaded = TASK.load_assets(tmp_path)
    assert loaded.thresholds == pytest.approx(tuned.thresholds)
    grown = loaded.with_labels("label", ("blue", "red", "green"))
    assert grown.thresholds == (*loaded.thresholds, 0.5)
    larger = spec.grow(model, settings, old=loaded, new=grown)
    inputs = batch(ROWS, assets).inputs
    np.testing.assert_allclose(
        np.asarray(larger(inputs))[:, :2], np.asarray(model(inputs)), atol=1e-5
    )


def test_it_is_not_adapted_without_labels():
    with pytest.raises(UsageError, match="without labels"):
        TASK.adaptation_assets(learned()[0])
