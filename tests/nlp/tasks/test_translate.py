"""Translation: subwords of both sides, batches, search, scores and alignments of a small model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aitk.core.inference.predictors import KerasPredictor
from aitk.nlp.data.options import TranslateOptions
from aitk.nlp.tasks.translate import Translate
from aitk.nlp.tasks.translate_settings import (
    LstmTranslatorSettings,
    TransformerTranslatorSettings,
)

ROWS = [
    {"source": f"the {thing} is {state}", "target": f"{ding} ist {zustand}"}
    for thing, ding in (("lamp", "die Lampe"), ("table", "der Tisch"), ("book", "das Buch"))
    for state, zustand in (("red", "rot"), ("new", "neu"), ("small", "klein"))
]
SETTINGS = TransformerTranslatorSettings(
    tokenizer="word", vocabulary_size=300, size="tiny", max_length=16, dropout=0.0
)


@pytest.fixture(scope="module")
def learned():
    return Translate().learn(ROWS, {}, SETTINGS, note=lambda _: None)


@pytest.fixture(scope="module")
def model(learned):
    return Translate.models["transformer"].build(SETTINGS, learned)


def test_both_sides_share_one_vocabulary(learned):
    for word in ("lamp", "Lampe"):
        assert learned.tokenizer.token_id(word) not in learned.tokenizer.special_ids
    assert learned.splitter == "13a"


def test_the_target_is_read_shifted_by_the_start(learned):
    task = Translate()
    batch = task.collate(task.encode(ROWS[:2], learned), learned)
    read, known = batch.inputs["target_ids"][0], batch.targets[0]
    assert read[0] == learned.start_id
    np.testing.assert_array_equal(read[1:], known[:-1])
    assert known[-1] == learned.end_id
    assert batch.weights.mean() == pytest.approx(1.0)


def test_rows_without_a_target_can_be_translated(learned, model):
    task = Translate()
    batch = task.collate(task.encode([{"source": "the lamp is red"}], learned), learned)
    options = TranslateOptions(beams=3)
    found = task.infer(batch, KerasPredictor(model), learned, top_k=2, options=options)
    (answer,) = task.decode(batch, found, learned, top_k=2)
    assert set(answer) >= {"prediction", "score", "others"}
    assert answer["score"] >= answer["others"][0]["score"]


def test_with_and_without_a_cache_the_translations_are_the_same(learned, model):
    task = Translate()
    batch = task.collate(task.encode(ROWS, learned), learned)
    cached = KerasPredictor(model)
    found = task.infer(batch, cached, learned)
    plain = task.infer(batch, lambda inputs: cached(inputs), learned)
    assert [row[0].ids for row in found.hypotheses] == [row[0].ids for row in plain.hypotheses]
    np.testing.assert_allclose(found.losses, plain.losses)


def test_assets_are_saved_and_loaded(learned, tmp_path):
    learned.save(tmp_path)
    loaded = Translate().load_assets(tmp_path)
    changed = dataclasses.replace(loaded, text=learned.text)
    assert changed == learned
    assert loaded.tokenizer.encode_bare(["die Lampe"], 9) == learned.tokenizer.encode_bare(
        ["die Lampe"], 9
    )


@pytest.mark.parametrize("name", ["transformer", "lstm"])
@pytest.mark.usefixtures("small_transformers")
def test_a_small_model_learns_to_translate(learned, name):
    import keras

    keras.utils.set_random_seed(1)
    task = Translate()
    settings = SETTINGS
    if name == "lstm":
        settings = LstmTranslatorSettings(tokenizer="word", hidden=48, dropout=0.0, max_length=16)
    model = task.models[name].build(settings, learned)
    model.compile(keras.optimizers.Adam(8e-3), loss=task.models[name].loss(learned))
    batch = task.collate(task.encode(ROWS, learned), learned)
    for _ in range(60):
        model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights)
    measured = task.measure(batch, task.infer(batch, KerasPredictor(model), learned), learned)
    assert task.score(measured, learned).metrics["bleu"].value > 90


def test_an_explanation_shows_where_the_translation_looks(learned, model):
    found = Translate().explain(
        ROWS[0], None, learned, target="die Lampe ist rot", model=lambda: model
    )
    assert [part["text"] for part in found["parts"]] == ["the", "lamp", "is", "red"]
    assert sum(part["weight"] for part in found["parts"]) == pytest.approx(1, abs=1e-3)
    assert [each["target"] for each in found["alignment"]] == ["die", "Lampe", "ist", "rot"]
    assert found["pictures"][0]["svg"].startswith("<svg")


def test_a_student_learns_the_translations_of_its_teacher(learned, monkeypatch):
    from aitk.core.contract.progress import Silent
    from aitk.stages.compressing import distilling
    from aitk.stages.compressing.steps import Candidate, Work
    from aitk.stages.options import TrainingOptions

    def write(rows, task, assets, predict, *, batch_size, top_k):
        return ({"prediction": f"{predict}: {row['source']}"} for row in rows)

    monkeypatch.setattr(distilling, "decode_rows", write)
    monkeypatch.setattr(distilling, "open_file", lambda spec, path: path)
    rows = [ROWS[0], {"source": "the book is red"}]
    teacher = Candidate("teacher", "transformer", {}, learned)
    work = Work(Translate(), None, rows, 1, None, TrainingOptions(), False, None, Silent())
    taught = distilling.teach(work, None, learned, teacher, loss="its own")
    first, second = taught.examples.take([0, 1])
    assert first.target[0] == f"teacher: {ROWS[0]['source']}"
    assert second.target[0] == "teacher: the book is red"
    assert taught.loss == "its own"
    assert taught.facts == {"unlabelled_rows": 1, "learned": "teacher texts"}
