"""The masked language model: what it hides, guesses, scores and fills in."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.task import Batch
from aitk.nlp.tasks.masked_lm import MaskedLanguageModel
from aitk.nlp.tasks.settings import MaskedTransformerSettings

TASK = MaskedLanguageModel()
TRANSFORMER = TASK.models["transformer"]
ROWS = [
    {"text": "the cat sat on the mat"},
    {"text": "the dog sat on the log and looked at the cat"},
    {"text": ""},
]


def assets(**changes):
    settings = MaskedTransformerSettings(tokenizer="word", vocabulary_size=300, **changes)
    return TASK.learn(ROWS, {}, settings, note=print)


@pytest.fixture
def learned():
    return assets()


def test_every_slot_points_at_a_hidden_token(learned):
    examples = TASK.encode(ROWS, learned)
    batch = TASK.collate(examples, learned, rng=np.random.default_rng(0))
    for row, example in enumerate(examples):
        used = batch.weights[row] > 0
        positions = batch.inputs["mask_positions"][row]
        assert (positions > 0).tolist() == used.tolist()
        answers = example.inputs["token_ids"][positions[used] - 1]
        assert answers.tolist() == batch.targets[row][used].tolist()
        assert not set(answers) & learned.tokenizer.special_ids
    assert batch.inputs["padding_mask"].sum(1).tolist() == [8, 13, 2]


def test_training_masks_anew_and_evaluation_does_not(learned):
    examples = TASK.encode(ROWS[1:2] * 20, learned)
    rng = np.random.default_rng(0)
    one, two = (TASK.collate(examples, learned, rng=rng) for _ in range(2))
    assert (one.inputs["token_ids"] != two.inputs["token_ids"]).any()
    still = TASK.collate(examples, learned).inputs["token_ids"]
    assert (still == still[0]).all()
    assert (TASK.collate(examples[:3], learned).inputs["token_ids"] == still[:3]).all()


def test_a_mask_in_the_text_is_the_slot(learned):
    examples = TASK.encode([{"text": "the [MASK] sat"}], learned)
    batch = TASK.collate(examples, learned)
    assert batch.inputs["mask_positions"].tolist() == [[3]]
    assert batch.inputs["token_ids"][0, 2] == learned.tokenizer.mask_id
    assert batch.weights.sum() == 0


def test_weights_average_over_used_slots(learned):
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    assert batch.weights.mean() == pytest.approx(1)


def test_decoding_names_tokens_and_skips_unused_slots(learned):
    vocabulary = learned.tokenizer.vocabulary_size
    outputs = np.zeros((2, 2, vocabulary), np.float32)
    outputs[0, 0, learned.tokenizer.token_id("cat")] = 9
    outputs[0, 1, learned.tokenizer.token_id("dog")] = 9
    [two, none] = TASK.decode(Batch({}), outputs, learned, top_k=2)
    assert two["prediction"] == "cat dog"
    assert [len(slot) for slot in two["slots"]] == [2, 2]
    assert none == {"prediction": "", "slots": []}


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary_size(learned):
    outputs = np.ones((2, 3, 50), np.float32)
    weights = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    measured = TASK.measure(Batch({}, np.ones((2, 3), int), weights), outputs, learned)
    assert measured["tokens"].tolist() == [2, 1]
    scored = TASK.score(measured, learned)
    assert scored.metrics["perplexity"].value == pytest.approx(50)
    assert scored.per_row == pytest.approx(np.log([50, 50]))


def test_scores_weigh_tokens_not_rows(learned):
    measured = {
        "tokens": np.array([3, 1, 0] * 5),
        "right": np.array([3, 0, 0] * 5),
        "loss": np.array([0.0, 4.0, 0.0] * 5),
    }
    scored = TASK.score(measured, learned, resamples=200)
    assert scored.metrics["accuracy"].value == pytest.approx(0.75)
    assert scored.metrics["perplexity"].value == pytest.approx(np.e)
    assert scored.metrics["log_loss"].low <= 1 <= scored.metrics["log_loss"].high
    with pytest.raises(DataError):
        TASK.score({name: values[2:3] for name, values in measured.items()}, learned)


def test_assets_reload(tmp_path):
    saved = assets(mask_share=0.3, whole_words=True)
    saved.save(tmp_path)
    loaded = TASK.load_assets(tmp_path)
    assert (loaded.mask_share, loaded.whole_words) == (0.3, True)
    before, after = (TASK.encode(ROWS, each)[1].inputs for each in (saved, loaded))
    assert {name: values.tolist() for name, values in before.items()} == {
        name: values.tolist() for name, values in after.items()
    }


@pytest.fixture(scope="module")
def model(small_transformers):
    return TRANSFORMER.build(MaskedTransformerSettings(), assets())


def test_the_model_learns_reloads_and_keeps_its_tie(model, learned, tmp_path):
    import keras

    examples = TASK.encode(ROWS[:2] * 4, learned)
    model.compile(keras.optimizers.Adam(3e-3), loss=TRANSFORMER.loss(learned))
    losses = []
    for step in range(40):
        batch = TASK.collate(examples, learned, rng=np.random.default_rng(step))
        losses.append(model.train_on_batch(batch.inputs, batch.targets, batch.weights))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    inputs = TASK.collate(examples, learned).inputs
    np.testing.assert_allclose(np.asarray(loaded(inputs)), np.asarray(model(inputs)), atol=1e-6)
    table = loaded.get_layer("backbone").get_layer("token_embedding").embeddings
    assert loaded.get_layer("head").embedding.embeddings is table
    assert loaded.count_params() == model.count_params()


def test_padding_and_unused_slots_change_no_guess(model, learned):
    examples = TASK.encode(ROWS[:2], learned)
    alone = TASK.collate(examples[:1], learned)
    both = TASK.collate(examples, learned, pad_to=20)
    out = np.asarray(model(both.inputs))[0]
    np.testing.assert_allclose(out[:1], np.asarray(model(alone.inputs))[0], atol=1e-5)
    assert (out[1:] == 0).all()


def test_an_explanation_covers_the_text(model, learned):
    def predict(rows):
        return np.asarray(model(TASK.collate(TASK.encode(rows, learned), learned).inputs))

    fields = {"text": "the [MASK] sat on the mat"}
    result = TASK.explain(fields, predict, learned, target="cat")
    assert "".join(part["text"] for part in result["parts"]) == fields["text"]
    assert result["explained"] == "cat"
    with pytest.raises(UsageError, match="MASK"):
        TASK.explain({"text": "the cat"}, predict, learned)
