"""Scores of spans against counts by hand and against sets of spans."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.metrics.span_dictionary import dictionary_baseline
from aitk.nlp.metrics.spans import score_spans


def score(gold, found, **options):
    counts = np.ones(len(gold))
    return score_spans(gold, found, correct_words=counts, words=2 * counts, **options)


GOLD = [[(0, 1, "A"), (2, 4, "B")], [(1, 2, "A")], []]
FOUND = [[(0, 1, "A"), (2, 3, "B")], [(1, 2, "B")], [(0, 1, "A")]]


def test_a_span_counts_only_where_words_and_label_are_right():
    made = score(GOLD, FOUND)
    values = {name: each.value for name, each in made.metrics.items()}
    assert values["precision"] == pytest.approx(1 / 4)
    assert values["recall"] == pytest.approx(1 / 3)
    assert values["f1"] == pytest.approx(2 / 7)
    assert values["macro_f1"] == pytest.approx((2 / 4 + 0) / 2)
    assert values["token_accuracy"] == 0.5
    errors = {each["spans"]: each["number"] for each in made.details["tables"]["Errors in spans"]}
    assert errors == {
        "right": 1, "other label": 1, "other words": 1, "missed": 0, "invented": 1
    }  # fmt: skip
    assert list(made.per_row) == pytest.approx([0.5, 0, 0])


def test_each_label_has_its_own_scores():
    table = {each["label"]: each for each in score(GOLD, FOUND).details["per_class"]}
    assert table["A"]["support"] == 2
    assert table["A"]["f1"]["value"] == pytest.approx(2 / 4)
    assert table["B"]["f1"]["value"] == 0


def test_intervals_hold_their_scores_and_resampling_gives_the_f1_of_the_sample():
    gold, found = GOLD * 10, FOUND * 10
    made = score(gold, found, resamples=200)
    f1 = made.metrics["f1"]
    assert f1.low <= f1.value <= f1.high
    counts = np.zeros((1, 30))
    counts[0, 0] = 3
    assert made.resampled(counts) == pytest.approx([0.5])


SENTENCES = st.lists(
    st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(1, 2)), min_size=4, max_size=4),
    min_size=1,
    max_size=4,
)


def spans(runs):
    found, at = [], 0
    for label, length in runs:
        if label:
            found.append((at, at + length, label))
        at += length
    return found


def f1(right, told):
    return 2 * len(right & told) / (len(right) + len(told))


@given(SENTENCES, SENTENCES)
def test_the_f1_is_that_of_sets_of_spans(first, second):
    rows = min(len(first), len(second))
    gold, found = ([spans(each) for each in side[:rows]] for side in (first, second))
    right = {(row, *span) for row, each in enumerate(gold) for span in each}
    told = {(row, *span) for row, each in enumerate(found) for span in each}
    made = score(gold, found).metrics
    if right or told:
        assert made["f1"].value == pytest.approx(f1(right, told))
        labels = {label for *_, label in right | told}
        each = [
            f1(*({span for span in side if span[-1] == label} for side in (right, told)))
            for label in labels
        ]
        assert made["macro_f1"].value == pytest.approx(np.mean(each))


def row(text, tags):
    words = text.split()
    starts = [text.index(word) for word in words]
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    return {"text": text, "starts": starts, "ends": ends, "tags": tags.split()}


def test_the_baseline_finds_the_spans_of_training_again():
    train = [row("in New York", "O B-LOC I-LOC"), row("New shoes", "O O")]
    rows = [row("to new york now", "O B-LOC I-LOC O")]
    baseline = dictionary_baseline(train, ("O", "B-LOC", "I-LOC"))
    found = baseline.measure(rows, {})
    assert found["found"][0] == [(1, 3, "LOC")] and found["correct"][0] == 4


def test_the_baseline_of_parts_of_speech_is_each_words_most_frequent_tag():
    train = [row("fish swim", "NOUN VERB"), row("we fish big fish", "PRON VERB ADJ NOUN")]
    baseline = dictionary_baseline(train, ("ADJ", "NOUN", "PRON", "VERB"))
    found = baseline.measure([row("fish unknown", "NOUN NOUN")], {})
    assert [span[2] for span in found["found"][0]] == ["NOUN", "NOUN"]
