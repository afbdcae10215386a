"""Numbers for texts: reading, statistics, a model that learns them, explanations."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.nlp.data.options import ScoreReading
from aitk.nlp.tasks.score import Score
from aitk.nlp.tasks.settings import CnnSettings

TASK = Score()
CNN = TASK.models["cnn"]
SETTINGS = CnnSettings(
    tokenizer="word", vocabulary_size=300, max_length=16, hidden=8, filters=8, dropout=0.0
)
WORDS = {1: "awful", 2: "poor", 3: "fair", 4: "good", 5: "great"}
ROWS = [{"text": f"the {word} shop {n}", "score": float(score)}
        for n in range(4) for score, word in WORDS.items()]  # fmt: skip


def summary(rows):
    inspector = TASK.inspector(ScoreReading())
    for number, fields in enumerate(rows):
        inspector.add(Row(fields, "a.csv", number), "train")
    assert {each.grade for each in inspector.findings()} <= {"ok", "skipped", "warning"}
    return inspector.summary()


@pytest.fixture(scope="module")
def learned():
    return TASK.learn(ROWS, summary(ROWS), SETTINGS, note=print)


@pytest.fixture(scope="module")
def model(learned):
    import keras

    keras.utils.set_random_seed(0)
    made = CNN.build(SETTINGS, learned)
    made.compile(keras.optimizers.Adam(1e-2), loss=CNN.loss(learned))
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    for _ in range(60):
        made.train_on_batch(batch.inputs, batch.targets)
    return made


def outputs(model, rows, assets):
    batch = TASK.collate(TASK.encode(rows, assets), assets)
    return batch, np.asarray(model(batch.inputs))


def test_a_row_without_a_number_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,stars\nfine,4\nodd,many\nbare,\n")
    read = TASK.read([str(tmp_path / "a.csv")], ScoreReading(), labelled=True, note=print)
    first, odd, bare = read
    assert first.fields == {"text": "fine", "score": 4.0}
    assert odd == Refusal(str(tmp_path / "a.csv"), 3, "its score is 'many', not a number")
    assert bare.reason == "it has no score"


def test_statistics_are_those_of_the_training_rows():
    found = summary(ROWS)["scores"]
    scores = [row["score"] for row in ROWS]
    assert found["mean"] == pytest.approx(np.mean(scores))
    assert found["deviation"] == pytest.approx(np.std(scores))
    assert (found["lowest"], found["highest"]) == (1, 5)


def test_one_score_for_all_rows_teaches_nothing():
    with pytest.raises(DataError, match="nothing to learn"):
        TASK.learn(ROWS[:1], summary(ROWS[:1]), SETTINGS, note=print)


def test_it_learns_scores_in_the_units_of_the_data(model, learned):
    batch, found = outputs(model, ROWS, learned)
    metrics = TASK.score(TASK.measure(batch, found, learned), learned).metrics
    assert metrics["rmse"].value < 0.3
    assert metrics["spearman"].value > 0.9
    first = TASK.decode(batch, found, learned)[0]
    assert first["prediction"] == pytest.approx(1, abs=0.5)


def test_the_mean_is_its_baseline(learned):
    found = summary(ROWS)
    (baseline,) = TASK.baselines(ROWS, found, learned)
    measured = baseline.measure(ROWS, {"target": np.array([row["score"] for row in ROWS])})
    assert TASK.score(measured, learned).metrics["rmse"].value == pytest.approx(
        found["scores"]["deviation"]
    )


def test_an_explanation_names_the_word_that_counts(model, learned):
    def predict(rows):
        return outputs(model, rows, learned)[1]

    result = TASK.explain({"text": "the great shop"}, predict, learned)
    weights = {part["text"]: part["weight"] for part in result["parts"]}
    assert max(weights, key=weights.__getitem__) == "great"


def test_assets_reload_and_damaged_ones_are_refused(learned, tmp_path):
    learned.save(tmp_path)
    loaded = TASK.load_assets(tmp_path)
    assert (loaded.mean, loaded.deviation) == (learned.mean, learned.deviation)
    (tmp_path / "scores.json").write_text('{"mean": 1.0, "deviation": 0.0}')
    with pytest.raises(ArtifactError, match="deviation"):
        TASK.load_assets(tmp_path)
