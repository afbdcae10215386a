"""Numbers for images: reading, statistics, mixing, a network that learns them, explanations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.io.images import encode_png
from aitk.vision.data.options import ScoreImages
from aitk.vision.models.settings import CnnSettings
from aitk.vision.tasks.score import Score

TASK = Score()
SETTINGS = CnnSettings(
    image_size="16", filters=4, blocks="1,1", dropout=0.0,
    shift=0.0, brightness=0.0, contrast=0.0, saturation=0.0,
)  # fmt: skip


def row(score: float):
    """An image whose redness from 0 to 250 is ten times its score."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 10 * score
    return {
        "image": encode_png(image),
        "name": f"{score}.png",
        "height": 16,
        "width": 16,
        "score": float(score),
    }


ROWS = [row(score) for score in (0, 5, 10, 15, 20, 25)]


def summary(rows):
    inspector = TASK.inspector(ScoreImages())
    for number, fields in enumerate(rows):
        inspector.add(Row(fields, "a.csv", number), "train")
    assert {each.check for each in inspector.findings()} >= {"duplicates", "blank images"}
    return inspector.summary()


def learned(**given):
    return TASK.learn(ROWS, summary(ROWS), dataclasses.replace(SETTINGS, **given), note=print)


@pytest.fixture(scope="module")
def trained():
    import keras

    keras.utils.set_random_seed(0)
    assets = learned()
    spec = TASK.models["cnn"]
    model = spec.build(SETTINGS, assets)
    model.compile(keras.optimizers.Adam(1e-2), loss=spec.loss(assets))
    batch = TASK.collate(TASK.encode(ROWS * 2, assets), assets)
    for _ in range(80):
        model.train_on_batch(batch.inputs, batch.targets)
    return model, assets, batch, np.asarray(model(batch.inputs, training=True))


def test_a_row_without_a_number_is_refused(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(ROWS[2]["image"])
    (tmp_path / "a.csv").write_text("file,wear\na.png,4.5\nb.png,much\nc.png,\n")
    reading = ScoreImages(label_column="wear")
    first, odd, bare = TASK.read([str(tmp_path)], reading, labelled=True, note=print)
    assert first.fields["score"] == 4.5
    assert isinstance(odd, Refusal) and "'much', not a number" in odd.reason
    assert bare.reason == "it has no score"


def test_images_without_a_table_have_no_score(tmp_path):
    (tmp_path / "a.png").write_bytes(ROWS[2]["image"])
    (refused,) = TASK.read([str(tmp_path)], ScoreImages(), labelled=True, note=print)
    assert "no table gives its score" in refused.reason
    (read,) = TASK.read([str(tmp_path)], ScoreImages(), labelled=False, note=print)
    assert "score" not in read.fields


def test_statistics_are_those_of_the_training_rows_and_sheets_show_scores():
    found = summary(ROWS)
    assert found["scores"]["mean"] == pytest.approx(12.5)
    assert found["scores"]["deviation"] == pytest.approx(np.std([0, 5, 10, 15, 20, 25]))
    assert "labels" not in found
    assert found["pictures"]


def test_one_score_for_all_rows_teaches_nothing():
    with pytest.raises(DataError, match="nothing to learn"):
        TASK.learn(ROWS[:1], summary(ROWS[:1]), SETTINGS, note=print)


def test_labels_cannot_be_smoothed():
    with pytest.raises(UsageError, match="needs classes"):
        learned(smoothing=0.1)


def test_images_laid_over_each_other_get_the_mean_of_their_scores():
    assets = learned(mixup=1.0)
    batch = TASK.collate(TASK.encode(ROWS * 4, assets), assets, rng=np.random.default_rng(0))
    redness = batch.inputs["image"][:, 4, 4, 0].astype(float) / 10
    np.testing.assert_allclose(TASK.scores(batch.targets, assets), redness, atol=0.1)
    assert len(set(np.round(redness))) > len(ROWS)


def test_it_learns_scores_in_the_units_of_the_data(trained):
    _, assets, batch, outputs = trained
    metrics = TASK.score(TASK.measure(batch, outputs, assets), assets).metrics
    assert metrics["rmse"].value < 2
    assert metrics["spearman"].value > 0.9
    assert TASK.decode(batch, outputs, assets)[5]["prediction"] == pytest.approx(25, abs=4)


def test_an_explanation_has_a_image_and_the_score(trained):
    model, assets, _, _ = trained

    def predict(rows):
        batch = TASK.collate(TASK.encode(rows, assets), assets)
        return np.asarray(model(batch.inputs))

    for opened in (None, lambda: model):
        result = TASK.explain(ROWS[3], predict, assets, model=opened)
        assert isinstance(result["prediction"], float)
        assert result["pictures"]


def test_assets_reload_and_damaged_ones_are_refused(trained, tmp_path):
    _, assets, _, _ = trained
    assets.save(tmp_path)
    loaded = TASK.load_assets(tmp_path)
    assert (loaded.mean, loaded.deviation) == (assets.mean, assets.deviation)
    dataclasses.replace(assets, parameters={"mean": 1.0, "deviation": 0.0}).save(tmp_path)
    with pytest.raises(ArtifactError, match="deviation"):
        TASK.load_assets(tmp_path)
    dataclasses.replace(assets, parameters={"mean": 1.0}).save(tmp_path)
    with pytest.raises(ArtifactError, match="deviation"):
        TASK.load_assets(tmp_path)
