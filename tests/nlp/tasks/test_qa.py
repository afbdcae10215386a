"""The question answering task on tiny models."""

import dataclasses

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.inference.prediction import decode_rows, measure_rows, predict_rows
from aitk.nlp.data.options import QaPredictOptions, QaReading
from aitk.nlp.features.passages import FORBIDDEN
from aitk.nlp.tasks.qa import QuestionAnswering

TASK = QuestionAnswering()
CONTEXT = "Ann lives in Porto. Tom keeps a dog. The shop in Leeds sells bread. Ruth likes tea."


def row(question, answer=None, context=CONTEXT):
    made = {"id": "", "context": context, "question": question}
    if answer is not None:
        made |= {
            "answers": [answer] if answer else [],
            "answer_starts": [context.index(answer)] if answer else [],
        }
    return made


ROWS = [
    row("where does Ann live", "Porto"),
    row("what does Tom keep", "a dog"),
    row("what does Ruth like", "tea"),
    row("who sings", ""),
]


def learn(**settings):
    wanted = {"tokenizer": "word", "max_question": 6, "overlap": 2} | settings
    chosen = resolve(TASK.models["transformer"].settings, wanted)
    summary = {"unanswerable": {"train": 1}}
    return chosen, TASK.learn(ROWS, summary, chosen, note=print)


def fake(assets, word="tea"):
    """A model that finds one word, and otherwise no answer."""
    (target,) = assets.tokenizer.encode_bare([word], 9)[0]

    def predict(inputs):
        found = (inputs["token_ids"] == target).astype(np.float32)
        return np.stack([9 * found, 9 * found], axis=-1)

    return predict


def decode(assets, predict, **options):
    chosen = QaPredictOptions(**options)
    return list(decode_rows(ROWS, TASK, assets, predict, batch_size=2, top_k=2, options=chosen))


@pytest.mark.parametrize("length", [16, 64])
def test_an_answer_is_found_in_any_window(length):
    _, assets = learn(max_length=length)
    for made in decode(assets, fake(assets)):
        assert made["prediction"] == "tea" and made["evidence"] == "Ruth likes tea."
        assert CONTEXT[made["start"] : made["end"]] == "tea"
        assert made["no_answer"] < 0.01 < made["probability"]
        assert len(made["others"]) == 1


def test_the_threshold_of_no_answer_decides_and_an_option_overrides_it():
    _, assets = learn()
    silent = assets.with_threshold(-100.0)
    assert decode(silent, fake(assets))[0]["prediction"] == ""
    assert decode(silent, fake(assets), no_answer_threshold=0.0)[0]["prediction"] == "tea"
    always = dataclasses.replace(silent, no_answer=False)
    assert decode(always, fake(assets))[0]["prediction"] == "tea"


def test_measures_hold_what_the_threshold_is_tuned_on():
    _, assets = learn()
    measured = measure_rows(ROWS, TASK, assets, fake(assets), batch_size=3)
    assert measured["unanswerable"].tolist() == [0, 0, 0, 1]
    assert measured["f1"].tolist() == [0, 0, 1, 0]
    tuned = TASK.calibrate(measured, assets)
    assert np.isfinite(tuned.threshold)
    better = measure_rows(ROWS, TASK, tuned, fake(assets), batch_size=3)
    assert better["f1"].mean() >= measured["f1"].mean()


def test_training_targets_mark_the_answer_or_the_first_token():
    _, assets = learn(max_length=16)
    examples = TASK.encode(ROWS, assets)
    for seed in range(5):
        batch = TASK.collate(examples, assets, rng=np.random.default_rng(seed))
        assert np.maximum(batch.targets, 0).sum(axis=1).tolist() == [[1, 1]] * 4
        ids = batch.inputs["token_ids"]
        assert (batch.targets[3, 0] == 1).all()
        start = int(batch.targets[2, :, 0].argmax())
        word = assets.tokenizer.token(int(ids[2, start]))
        assert start == 0 or word == "tea"
        assert (batch.targets[batch.inputs["padding_mask"] == 0] == FORBIDDEN).all()


@pytest.mark.usefixtures("small_transformers")
def test_a_model_learns_its_rows_by_heart_and_explains_them():
    import keras

    from aitk.core.inference.predictors import KerasPredictor

    settings, assets = learn(max_length=48, dropout=0.0)
    spec = TASK.models["transformer"]
    keras.utils.set_random_seed(1)
    built = spec.build(settings, assets)
    built.compile(keras.optimizers.Adam(2e-3), loss=spec.loss(assets))
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    for _ in range(200):
        built.train_on_batch(batch.inputs, batch.targets)
    predict = KerasPredictor(built)
    measured = measure_rows(ROWS, TASK, assets, predict, batch_size=4)
    assert TASK.score(measured, assets).metrics["f1"].value == 1

    def outputs(rows):
        return list(predict_rows(rows, TASK, assets, predict, batch_size=8))

    found = TASK.explain(ROWS[0], outputs, assets)
    assert found["prediction"] == "Porto" and found["evidence"] == "Ann lives in Porto."
    text = "".join(part["text"] for part in found["parts"])
    assert text == f"{ROWS[0]['question']} — {CONTEXT}"
    assert TASK.explain(ROWS[0], outputs, assets, target="tea")["evidence"] == "Ruth likes tea."


def test_the_same_question_about_another_context_is_another_row():
    assert TASK.key(ROWS[0]) != TASK.key(row("where does Ann live", context="x"))


def test_a_question_and_its_context_belong_together(tmp_path):
    (tmp_path / "page.txt").write_text(CONTEXT, encoding="utf-8")
    page = str(tmp_path / "page.txt")
    (made,) = TASK.rows_in_options(QaPredictOptions(context=page, question="Who?"), QaReading())
    assert made.fields["context"] == CONTEXT
    assert TASK.rows_in_options(QaPredictOptions(), QaReading()) == []
    with pytest.raises(UsageError, match="needs its context"):
        TASK.rows_in_options(QaPredictOptions(question="Who?"), QaReading())


def test_a_question_in_options_is_redacted_like_a_file(tmp_path):
    (tmp_path / "page.txt").write_text("Ann is ann@b.org.", encoding="utf-8")
    options = QaPredictOptions(context=str(tmp_path / "page.txt"), question="Who is ann@b.org?")
    (made,) = TASK.rows_in_options(options, QaReading(redact=["email"]))
    assert made.fields["context"] == "Ann is [EMAIL]."
    assert made.fields["question"] == made.record["question"] == "Who is [EMAIL]?"
    assert made.redacted == {"email": 2}
