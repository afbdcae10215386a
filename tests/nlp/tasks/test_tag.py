"""The tagging task on tiny models."""

from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.rows import Refusal, Row
from aitk.core.inference.prediction import decode_rows, measure_rows, predict_rows
from aitk.nlp.data.words import split_words
from aitk.nlp.features.word_readers import Subwords
from aitk.nlp.tasks.tag import Tag

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SUMMARY = {"labels": LABELS}
TASK = Tag()


def row(text, tags=None):
    spans = split_words(text)
    made = {"text": text, "starts": [a for a, _ in spans], "ends": [b for _, b in spans]}
    return made | ({"tags": tags.split()} if tags else {})


ROWS = [
    row("Ann Lee lives in Porto", "B-PER I-PER O O B-LOC"),
    row("Tom saw Leeds", "B-PER O B-LOC"),
    row(
        "Ann saw Tom in Porto and Tom saw Ann Lee in Leeds",
        "B-PER O B-PER O B-LOC O B-PER O B-PER I-PER O B-LOC",
    ),
]


def learn(model, **settings):
    chosen = resolve(TASK.models[model].settings, settings)
    return chosen, TASK.learn(ROWS, SUMMARY, chosen, note=print)


def fake(assets, *, batches=None):
    """A model that predicts each word's tag from its id: the same in any window."""
    tags = len(assets.labels)

    def predict(inputs):
        ids = inputs["token_ids"]
        if batches is not None:
            batches.append(ids.shape)
        if "word_positions" in inputs:
            ids = np.take_along_axis(ids, np.maximum(inputs["word_positions"] - 1, 0), axis=1)
        emissions = np.random.default_rng(0).normal(size=(5000, tags))[ids]
        head = np.zeros((len(ids), 2 + tags, tags))
        return np.concatenate([head, emissions], axis=1).astype(np.float32)

    return predict


@pytest.mark.parametrize("model", ["bilstm-crf", "transformer"])
def test_a_long_sentence_is_read_in_windows_with_the_same_result(model):
    small, large = ({"max_length": length} for length in (6, 64))
    extra = {} if model == "bilstm-crf" else {"tokenizer": "word"}
    found = []
    for settings in (small, large):
        _, assets = learn(model, **settings, **extra)
        batches = []
        predict = fake(assets, batches=batches)
        found.append(list(decode_rows(ROWS, TASK, assets, predict, batch_size=2, top_k=1)))
        assert max(shape[1] for shape in batches) <= settings["max_length"]
    assert found[0] == found[1] and found[0][2]["spans"]


def test_predictions_are_spans_of_the_text():
    _, assets = learn("bilstm-crf")
    for made, fields in zip(
        decode_rows(ROWS, TASK, assets, fake(assets), batch_size=3, top_k=1), ROWS, strict=True
    ):
        for span in made["spans"]:
            assert fields["text"][span["start"] : span["end"]] == span["text"]
            assert 0 <= span["score"] <= 1 and span["label"] in ("PER", "LOC")


def test_perfect_scores_give_perfect_measures():
    _, assets = learn("bilstm-crf")
    targets = {text: assets.targets(tags) for text, tags in ((r["text"], r["tags"]) for r in ROWS)}

    def measure(fields):
        batch = TASK.collate(TASK.encode(fields, assets), assets)
        width = batch.inputs["token_ids"].shape[1]
        outputs = np.zeros((len(fields), 7 + width, 5), np.float32)
        for each, known in zip(outputs, (targets[r["text"]] for r in fields), strict=True):
            each[7 + np.arange(len(known)), known] = 50
        return TASK.measure(batch, outputs, assets)

    made = TASK.score(measure(ROWS), assets)
    assert made.metrics["f1"].value == made.metrics["token_accuracy"].value == 1
    unknown = [row("Ann saw Rex", "B-PER O B-DOG")]
    targets[unknown[0]["text"]] = np.array([1, 0, 0])
    made = TASK.score(measure(unknown), assets)
    assert made.metrics["recall"].value == 0.5 and made.details["unseen_rows"] == 1


@pytest.mark.parametrize("model", ["bilstm-crf", "transformer"])
@pytest.mark.usefixtures("small_transformers")
def test_a_model_learns_its_rows_by_heart(model):
    import keras

    from aitk.core.inference.predictors import KerasPredictor

    small = {"hidden": 16, "embedding": 16} if model == "bilstm-crf" else {"size": "tiny"}
    settings, assets = learn(model, dropout=0.0, **small)
    spec = TASK.models[model]
    keras.utils.set_random_seed(1)
    built = spec.build(settings, assets)
    built.compile(keras.optimizers.Adam(0.003), loss=spec.loss(assets))
    batch = TASK.collate(TASK.encode(ROWS, assets), assets)
    for _ in range(150):
        built.train_on_batch(batch.inputs, batch.targets)
    predict = KerasPredictor(built)
    made = TASK.score(measure_rows(ROWS, TASK, assets, predict, batch_size=2), assets)
    assert made.metrics["f1"].value == 1
    assert built.get_layer("backbone").count_params() > 0

    found = TASK.explain(ROWS[0], _outputs(assets, predict), assets, target="LOC")
    assert found["prediction"] == "Porto [LOC]"
    assert "".join(part["text"] for part in found["parts"]) == ROWS[0]["text"]
    heaviest = max(found["parts"], key=lambda part: part["weight"])
    assert heaviest["text"] in ("Porto", "in")


def _outputs(assets, predict):
    return lambda rows: list(predict_rows(rows, TASK, assets, predict, batch_size=8))


def test_a_teacher_of_other_tags_is_refused_and_one_of_the_same_adds_its_marginals():
    _, assets = learn("bilstm-crf")
    other = TASK.learn(ROWS, {"labels": LABELS[:3]}, learn("bilstm-crf")[0], note=print)
    with pytest.raises(UsageError, match="same tags"):
        TASK.distillation_loss(assets, teacher=other)
    (example,) = TASK.encode(ROWS[:1], assets)
    outputs = fake(assets)(TASK.collate([example], assets).inputs)[0]
    soft = TASK.add_soft_targets(example, outputs, assets, teacher=assets)
    assert soft.target.shape == (5, 6)
    assert soft.target[:, 1:].sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    batch = TASK.collate([soft, soft], assets)
    assert batch.targets.shape == (2, 5, 6)


def test_new_tags_are_refused_in_an_update():
    _, assets = learn("bilstm-crf")
    items = [Row(ROWS[0], "x", 1), Row(row("Rex", "B-DOG"), "x", 2)]
    _, kept = TASK.extend(iter(items), assets, ROWS, reading=None)
    first, second = kept
    assert isinstance(first, Row) and isinstance(second, Refusal) and "B-DOG" in second.reason


def test_subwords_of_a_hashed_tokeniser_are_refused():
    settings = resolve(TASK.models["transformer"].settings, {})
    start = SimpleNamespace(tokenizer=SimpleNamespace())
    with pytest.raises(UsageError, match="not a subword tokeniser"):
        TASK.learn(ROWS, SUMMARY, settings, start=start, note=print)
    assert isinstance(learn("transformer")[1].reader, Subwords)
