"""The simple predictors that text models are compared with."""

import numpy as np
import pytest

from aitk.nlp.metrics.linear_baseline import linear_baseline, linear_multi_label_baseline
from aitk.nlp.metrics.token_baselines import Frequencies, bigram_baseline
from aitk.nlp.tasks.generate import Generate
from aitk.nlp.tasks.masked_lm import MaskedLanguageModel
from aitk.nlp.tasks.settings import GptSettings, MaskedTransformerSettings

LABELS = ("bad", "good")


def reviews(template, count=20):
    """Texts in which one word determines the label."""
    return [
        {"text": template.format(word, number), "label": label}
        for number in range(count)
        for label, word in (("bad", "糟"), ("good", "好"))
    ]


def test_a_linear_model_learns_the_word_of_each_label():
    baseline = linear_baseline(reviews("这{}店{}"), LABELS)
    measured = baseline.measure(reviews("{}的书{}"), {"target": np.tile([0, 1], 20)})
    assert measured["probabilities"].argmax(axis=1).tolist() == [0, 1] * 20
    assert measured["target"].tolist() == [0, 1] * 20


def test_classes_in_another_order_keep_their_probabilities():
    baseline = linear_baseline(reviews("{} {}"), ("good", "unknown", "bad"))
    probabilities = baseline.measure(reviews("{} {}", 1), {})["probabilities"]
    assert probabilities.argmax(axis=1).tolist() == [2, 0]
    assert probabilities[:, 1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "rows", [reviews("{}")[:1], [{"text": " ", "label": each} for each in LABELS]]
)
def test_rows_that_teach_nothing_have_no_linear_baseline(rows):
    assert linear_baseline(rows, LABELS) is None


def tagged(count):
    """Texts with a word for each of their labels: none, one or both."""
    words = {"food": "soup", "staff": "waiter"}
    combinations = ([], ["food"], ["staff"], ["food", "staff"])
    return [
        {"text": " ".join(["the", *(words[each] for each in labels)]), "labels": labels}
        for _ in range(count)
        for labels in combinations
    ]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_many_labels_are_decided_at_the_thresholds_of_the_model(threshold):
    labels = ("staff", "never", "food")
    baseline = linear_multi_label_baseline(tagged(10), labels, (threshold,) * 3)
    found = baseline.measure(tagged(1), {"unseen": np.zeros(4)})
    assert (found["probabilities"] >= threshold).tolist() == [
        [label in row["labels"] for label in labels] for row in tagged(1)
    ]
    assert "unseen" in found


def test_a_single_class_that_is_always_there_has_no_linear_baseline():
    rows = [{"text": "soup", "labels": ["food"]} for _ in range(10)]
    assert linear_multi_label_baseline(rows, ("food",), (0.5,)) is None


TEXTS = [{"text": "a b a b a b"}, {"text": "a b a c"}, {"text": "c a b"}]


def causal():
    settings = GptSettings(tokenizer="word", vocabulary_size=300, max_length=16)
    return Generate().learn(TEXTS, {}, settings, note=print)


def test_pairs_of_tokens_share_all_probability():
    assets = causal()
    frequencies = Frequencies(Generate(), assets, TEXTS, never=assets.never_generated)
    every = np.arange(assets.tokenizer.vocabulary_size)
    for before in every:
        assert frequencies.of_pairs(np.full_like(every, before), every).sum() == pytest.approx(1)


def test_pairs_foretell_an_orderly_text_better_than_frequencies():
    assets, task = causal(), Generate()
    unigram, bigram = task.baselines(TEXTS, {}, assets)
    losses = [each.measure(TEXTS, {})["loss"].sum() for each in (unigram, bigram)]
    assert losses[1] < losses[0] / 1.5
    right = bigram.measure([{"text": "a b"}], {})["right"]
    assert right.tolist() == [2]  # a starts most texts, b follows a; the end mostly follows no b


def test_a_pair_that_training_never_saw_is_possible():
    assets, task = causal(), Generate()
    frequencies = Frequencies(task, assets, TEXTS[:1], never=assets.never_generated)
    assert np.isfinite(bigram_baseline(frequencies, task, assets).measure(TEXTS, {})["loss"]).all()


def test_masked_tokens_are_foretold_by_their_frequencies():
    task = MaskedLanguageModel()
    settings = MaskedTransformerSettings(tokenizer="word", vocabulary_size=300, mask_share=0.5)
    assets = task.learn(TEXTS, {}, settings, note=print)
    (unigram,) = task.baselines(TEXTS, {}, assets)
    measured = unigram.measure(TEXTS, {})
    assert (measured["loss"] > 0).all() and np.isfinite(measured["loss"]).all()
