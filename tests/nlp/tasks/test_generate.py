"""The causal language model: what it learns from, foretells, scores and writes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.inference.predictors import KerasPredictor
from aitk.nlp.data.formats.dialogues import dialogue_fields
from aitk.nlp.data.options import GenerationOptions
from aitk.nlp.features.causal import scored_parts
from aitk.nlp.tasks.generate import Generate
from aitk.nlp.tasks.settings import GptSettings

TASK = Generate()
GPT = TASK.models["gpt"]
ROWS = [
    {"text": "the cat sat on the mat"},
    {"text": "the dog sat on the log and looked at the cat"},
    {"text": "one two three four five six seven eight nine ten one two"},
]


def assets(**changes):
    changes = {"tokenizer": "word", "vocabulary_size": 300, "max_length": 16} | changes
    return TASK.learn(ROWS, {}, GptSettings(**changes), note=print)


@pytest.fixture(scope="module")
def learned():
    return assets()


@pytest.fixture(scope="module")
def trained(learned, small_transformers):
    """A model that has memorised the rows, and its losses."""
    import keras

    keras.utils.set_random_seed(0)
    model = GPT.build(GptSettings(max_length=16, dropout=0.0), learned)
    model.compile(keras.optimizers.Adam(3e-3), loss=GPT.loss(learned))
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    losses = [model.train_on_batch(batch.inputs, batch.targets, batch.weights) for _ in range(60)]
    return KerasPredictor(model), losses


def test_every_token_is_foretold_from_those_before_it(learned):
    batch = TASK.collate(TASK.encode(ROWS[:2], learned), learned)
    ids = TASK.encode(ROWS[:1], learned)[0].inputs["token_ids"]
    assert ids[0] == learned.start_id and ids[-1] == learned.end_id
    length = len(ids) - 1
    assert batch.inputs["token_ids"][0, :length].tolist() == ids[:-1].tolist()
    assert batch.targets[0, :length].tolist() == ids[1:].tolist()
    assert (batch.weights > 0).tolist() == (batch.inputs["padding_mask"] > 0).tolist()
    assert batch.weights.mean() == pytest.approx(1)
    assert learned.tokenizer.decode(ids) == ROWS[0]["text"]


def test_of_a_long_text_training_reads_any_stretch_and_others_the_first():
    short = assets(max_length=4)
    [example] = TASK.encode(ROWS[2:], short)
    whole = example.inputs["token_ids"].tolist()
    assert len(whole) == 14
    first = TASK.collate([example], short)
    assert first.inputs["token_ids"].tolist() == [whole[:4]]
    assert first.targets.tolist() == [whole[1:5]]
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        batch = TASK.collate([example], short, rng=rng)
        [start] = [
            at for at in range(10) if whole[at : at + 4] == batch.inputs["token_ids"][0].tolist()
            and whole[at + 1 : at + 5] == batch.targets[0].tolist()
        ]  # fmt: skip
        seen.add(start)
    assert seen == set(range(10))


def test_packed_windows_are_full_and_hold_every_token_once():
    packed = assets(max_length=8, pack=True)
    examples = TASK.encode(ROWS, packed)
    windows = TASK.pack(examples, packed, rng=np.random.default_rng(3))
    tokens = [token for each in examples for token in each.inputs["token_ids"].tolist()]
    assert len(windows) == math.ceil(len(tokens) / 8)
    assert {len(each.inputs["token_ids"]) for each in windows} == {9}
    stream = [token for each in windows for token in each.inputs["token_ids"][:8].tolist()]
    at = next(at for at in range(len(tokens)) if (tokens[at:] + tokens[:at])[:9] == stream[:9])
    assert stream[: len(tokens)] == tokens[at:] + tokens[:at]
    after = [each.inputs["token_ids"][0] for each in windows[1:]]
    assert after == [each.inputs["token_ids"][8] for each in windows[:-1]]
    batch = TASK.collate(windows, packed, rng=np.random.default_rng(0))
    assert batch.inputs["padding_mask"].all() and (batch.weights == 1).all()


def test_all_of_a_long_text_is_scored_with_half_a_window_before_each_token():
    short = assets(max_length=4)
    rows = [*ROWS, {"text": "the cat"}]
    batch = TASK.collate(TASK.encode(rows, short), short)
    seen = [[] for _ in rows]
    for part in scored_parts(batch, short):
        assert len(part.inputs["token_ids"]) <= len(rows)
        for row, ids, targets, weights in zip(
            part.context["rows"], part.inputs["token_ids"], part.targets, part.weights, strict=True
        ):
            for place in np.flatnonzero(weights):
                read = ids[: place + 1].tolist()
                seen[row].append(int(targets[place]))
                before = len(seen[row])
                assert len(read) >= min(before, 2)
                whole = TASK.encode([rows[row]], short)[0].inputs["token_ids"].tolist()
                assert whole[before - len(read) : before] == read
    for row, tokens in zip(rows, seen, strict=True):
        assert tokens == TASK.encode([row], short)[0].inputs["token_ids"].tolist()[1:]

    def uniform(inputs):
        return np.zeros((*inputs["token_ids"].shape, short.tokenizer.vocabulary_size), np.float32)

    measured = TASK.measure(batch, TASK.infer(batch, uniform, short), short)
    assert measured["tokens"].tolist() == [len(tokens) for tokens in seen]
    assert measured["characters"].tolist() == [len(row["text"]) for row in rows]
    bits = measured["loss"] / math.log(short.tokenizer.vocabulary_size)
    np.testing.assert_allclose(bits, measured["tokens"], rtol=1e-5)


def test_running_text_has_no_ends_and_is_packed_by_default(tmp_path):
    summary = {"running_text": True}
    assert GPT.default_settings(summary) == {"pack": True}
    assert GPT.default_settings({}) == {}
    settings = GptSettings(tokenizer="char", vocabulary_size=300, pack=True)
    running = TASK.learn(ROWS, summary, settings, note=print)
    [example] = TASK.encode([{"text": "a cat\non"}], running)
    assert example.inputs["token_ids"][0] == running.start_id
    assert running.end_id not in example.inputs["token_ids"]
    running.save(tmp_path)
    again = TASK.load_assets(tmp_path)
    assert (again.pack, again.running_text) == (True, True)
    assert TASK.joins_rows(again) == "pack"
    assert not TASK.packs(assets())


def test_it_learns_and_writes_on(trained, learned):
    predict, losses = trained
    assert losses[-1] < 0.2 * losses[0]
    batch = TASK.collate(
        TASK.encode([{"text": "the dog"}, {"text": "one two three"}], learned), learned
    )
    options = GenerationOptions(tokens=30, temperature=0)
    written = TASK.infer(batch, predict, learned, top_k=2, options=options)
    dog, one = TASK.decode(batch, written, learned, top_k=2, options=options)
    assert dog["prediction"] == "sat on the log and looked at the cat"
    assert dog["whole"] == ROWS[1]["text"] and dog["ended"]
    assert dog["others"] == [{name: dog[name] for name in ("prediction", "whole", "ended")}]
    assert one["whole"] == ROWS[2]["text"]


def test_a_text_is_continued_alike_in_any_company(trained, learned):
    predict, _ = trained
    options = GenerationOptions(tokens=8, temperature=2.0, top_p=1.0)

    def continued(rows, **changes):
        batch = TASK.collate(TASK.encode(rows, learned), learned)
        changed = GenerationOptions(**(vars(options) | changes))
        written = TASK.infer(batch, predict, learned, top_k=3, options=changed)
        return TASK.decode(batch, written, learned, top_k=3, options=changed)

    rows = [{"text": "the"}, {"text": "one two"}]
    assert continued(rows)[1] == continued(rows[1:])[0]
    assert continued(rows) != continued(rows, seed=1)
    several = continued(rows)[0]
    assert len({several["whole"], *(other["whole"] for other in several["others"])}) > 1


def test_probabilities_of_texts_match_the_evaluation(trained, learned):
    predict, _ = trained
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    measured = TASK.measure(batch, TASK.infer(batch, predict, learned), learned)
    texts = [row["text"] for row in ROWS]
    whole = TASK.log_probabilities(texts, predict, learned, ended=True)
    np.testing.assert_allclose(whole, -measured["loss"], rtol=1e-4)
    assert TASK.log_probabilities([""], predict, learned, ended=False)[0] == 0
    begun = TASK.log_probabilities(texts, predict, learned, ended=False)
    assert (begun >= whole).all()


def test_the_words_that_may_follow_share_all_probability(trained, learned):
    predict, _ = trained
    words = [learned.tokenizer.token(index) for index in range(learned.tokenizer.vocabulary_size)]
    words = [word for word in words if word.isalpha()]
    before, end = (
        TASK.log_probabilities(["the cat"], predict, learned, ended=ended)[0]
        for ended in (False, True)
    )
    after = TASK.log_probabilities(
        [f"the cat {word}" for word in words], predict, learned, ended=False
    )
    total = np.exp(after - before).sum() + math.exp(end - before)
    assert 0.97 < total <= 1.0001  # what is missing are the marks, which are no words


def test_bits_a_character_compare_vocabularies(learned):
    batch = TASK.collate(TASK.encode(ROWS, learned), learned)
    vocabulary = learned.tokenizer.vocabulary_size
    outputs = np.zeros((*batch.targets.shape, vocabulary), np.float32)
    measured = TASK.measure(batch, outputs, learned)
    scored = TASK.score(measured, learned, resamples=20).metrics
    assert scored["perplexity"].value == pytest.approx(vocabulary, rel=1e-4)
    tokens, characters = measured["tokens"].sum(), sum(len(row["text"]) for row in ROWS)
    bits = tokens * math.log2(vocabulary) / characters
    assert scored["bits_per_character"].value == pytest.approx(bits, rel=1e-4)


def test_a_teacher_has_the_same_vocabulary(learned):
    TASK.distillation_loss(learned, teacher=assets())
    with pytest.raises(UsageError, match="vocabulary"):
        TASK.distillation_loss(learned, teacher=assets(tokenizer="char"))


def test_soft_targets_of_a_batch_follow_its_targets(learned):
    batch = TASK.collate(TASK.encode(ROWS[:2], learned), learned)
    vocabulary = learned.tokenizer.vocabulary_size
    result = np.random.default_rng(0).normal(size=(*batch.targets.shape, vocabulary))
    taught = TASK.add_soft_targets_to_batch(batch, result.astype(np.float32), learned).targets
    loss = TASK.distillation_loss(learned, teacher=learned)
    same = np.asarray(loss.call(taught, result.astype(np.float32)))
    other = np.asarray(loss.call(taught, -result.astype(np.float32)))
    assert same.shape == batch.targets.shape
    assert same.mean() < other.mean()


def test_an_explanation_covers_the_text(trained, learned):
    predictor, _ = trained

    def predict(rows):
        batch = TASK.collate(TASK.encode(rows, learned), learned)
        return predictor(batch.inputs)

    result = TASK.explain({"text": "the dog sat"}, predict, learned)
    assert result["prediction"] == "on"
    assert result["probability"] > 0.5
    assert "".join(part["text"] for part in result["parts"]) == "the dog sat"
    assert (
        TASK.explain({"text": "the dog sat"}, predict, learned, target="cat")["explained"] == "cat"
    )


def test_a_vocabulary_without_marks_is_refused():
    from tokenizers import Tokenizer, models

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer

    bare = SubwordTokenizer(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    start = Pretrained("somewhere", "hub", "hub", None, tokenizer=bare)
    with pytest.raises(ArtifactError, match="no start and end tokens"):
        TASK.learn(ROWS, {}, GptSettings(), start=start, note=print)


DIALOGUES = [
    dialogue_fields(
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    )
    for question, answer in (("one two", "three"), ("the cat", "sat"))
]


@pytest.mark.usefixtures("small_transformers")
def test_a_chat_model_is_trained_on_replies_only_and_replies():
    import keras

    keras.utils.set_random_seed(0)
    settings = GptSettings(tokenizer="word", vocabulary_size=300, max_length=32, dropout=0.0)
    learned = TASK.learn(DIALOGUES, {}, settings, note=print)
    assert learned.chat is not None
    batch = TASK.collate(TASK.encode(DIALOGUES, learned), learned)
    assert (batch.weights > 0).sum(axis=1).tolist() == [2, 2]  # a word and the end mark each
    model = GPT.build(settings, learned)
    model.compile(keras.optimizers.Adam(5e-3), loss=GPT.loss(learned))
    for _ in range(40):
        model.train_on_batch(batch.inputs, batch.targets, batch.weights)
    options = GenerationOptions(tokens=5, temperature=0)
    found = TASK.infer(batch, KerasPredictor(model), learned, options=options)
    answers = TASK.decode(batch, found, learned, options=options)
    assert answers == [{"prediction": "three", "ended": True}, {"prediction": "sat", "ended": True}]
    asked = TASK.collate(TASK.encode([{"text": "one two"}], learned), learned)
    found = TASK.infer(asked, KerasPredictor(model), learned, options=options)
    assert TASK.decode(asked, found, learned)[0]["prediction"] == "three"


def test_a_stop_string_ends_a_continuation(trained, learned):
    predict, _ = trained
    batch = TASK.collate(TASK.encode([{"text": "the dog"}], learned), learned)
    options = GenerationOptions(tokens=30, temperature=0, stop=["and"])
    found = TASK.infer(batch, predict, learned, options=options)
    (answer,) = TASK.decode(batch, found, learned, options=options)
    assert answer["prediction"] == "sat on the log" and answer["ended"]
