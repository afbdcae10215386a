"""Exact match and F1 of answers against the official scripts' rules, written anew."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.metrics.qa import (
    best_match,
    choose_threshold,
    match_characters,
    match_words,
    rules_for,
    score_answers,
    split_characters,
)
from aitk.nlp.metrics.qa_baseline import closest_sentence

# The rules of SQuAD's evaluate-v2.0.py ------------------------------------------


def official_normalize(text):
    text = text.lower()
    text = "".join(letter for letter in text if letter not in set(string.punctuation))
    text = re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)
    return " ".join(text.split())


def official_squad(predicted, answer):
    exact = int(official_normalize(predicted) == official_normalize(answer))
    gold, found = official_normalize(answer).split(), official_normalize(predicted).split()
    if not gold or not found:
        return exact, int(gold == found)
    common = sum((Counter(gold) & Counter(found)).values())
    if not common:
        return exact, 0
    precision, recall = common / len(found), common / len(gold)
    return exact, 2 * precision * recall / (precision + recall)


# The rules of CMRC 2018's cmrc2018_evaluate.py ----------------------------------

MARKS = list("-:_*^/\\~`+=，。：？！“”；’《》…·、「」（）－～『』")


def official_segments(text):
    pieces, other = [], ""
    for letter in text.lower().strip():
        if letter in MARKS:
            continue
        if re.search("[\u4e00-\u9fa5]", letter):
            pieces += [*re.findall(r"\w+|[^\w\s]", other), letter]
            other = ""
        else:
            other += letter
    return pieces + re.findall(r"\w+|[^\w\s]", other)


def official_cmrc(predicted, answer):
    gold, found = official_segments(answer), official_segments(predicted)
    table = [[0] * (len(found) + 1) for _ in range(len(gold) + 1)]
    longest = 0
    for row, one in enumerate(gold):
        for column, other in enumerate(found):
            if one == other:
                table[row + 1][column + 1] = table[row][column] + 1
                longest = max(longest, table[row + 1][column + 1])
    plain = [
        "".join(c for c in text.lower().strip() if c not in MARKS) for text in (predicted, answer)
    ]
    exact = int(plain[0] == plain[1])
    if not longest:
        return exact, 0
    precision, recall = longest / len(found), longest / len(gold)
    return exact, 2 * precision * recall / (precision + recall)


ENGLISH = st.lists(
    st.sampled_from("the a An apple, Apple's in 1999. U.S. and—then ( ) York New".split()),
    max_size=6,
).map(" ".join)
CHINESE = st.text("北京大学1999ab 《》,。、年", max_size=9)


@given(ENGLISH, ENGLISH)
def test_words_are_matched_as_squads_script_does(predicted, answer):
    assert match_words(predicted, answer) == pytest.approx(official_squad(predicted, answer))


@given(CHINESE, CHINESE)
def test_characters_are_matched_as_cmrcs_script_does(predicted, answer):
    if official_segments(predicted) and official_segments(answer):
        assert match_characters(predicted, answer) == pytest.approx(
            official_cmrc(predicted, answer)
        )


def test_the_rules_follow_the_script_of_the_context():
    assert rules_for("北京大学在北京。") is match_characters
    assert rules_for("Peking University (北大)") is match_words
    assert split_characters("《北京》 in 1999年") == ["北", "京", "in", "1999", "年"]


def test_the_best_of_several_answers_counts_and_none_wants_silence():
    assert best_match("two dogs", ["a dog", "two dogs ran"], match_words) == (0.0, 0.8)
    assert best_match("", [], match_words) == (1.0, 1.0)
    assert best_match("x", [], match_words) == (0.0, 0.0)


@given(
    st.lists(
        st.tuples(st.floats(-5, 5).map(lambda x: round(x, 2)), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_no_threshold_is_better_than_the_chosen_one(rows):
    margins, f1, unanswerable = (np.array(column) for column in zip(*rows, strict=True))

    def mean(threshold):
        silent = margins > threshold
        return np.where(silent, unanswerable, np.where(unanswerable, 0, f1)).mean()

    best = max(mean(each) for each in [*margins, margins.min() - 1])
    # Rows of equal margins cannot be told apart by a threshold.
    if len(set(margins)) == len(margins):
        chosen = choose_threshold(margins, f1, unanswerable)
        assert mean(chosen) == pytest.approx(best)


def test_scores_of_both_kinds_of_questions_stand_apart():
    measured = {
        "f1": np.array([1.0, 0.5, 1.0, 0.0]),
        "exact": np.array([1.0, 0.0, 1.0, 0.0]),
        "silent": np.array([0, 0, 1, 0]),
        "unanswerable": np.array([0, 0, 1, 1]),
    }
    made = score_answers(measured)
    values = {name: score.value for name, score in made.metrics.items()}
    assert values == {
        "f1": 0.625,
        "exact_match": 0.5,
        "has_answer_f1": 0.75,
        "has_answer_exact_match": 0.5,
        "no_answer_accuracy": 0.5,
    }
    assert list(made.per_row) == [1.0, 0.5, 1.0, 0.0]


def test_the_baseline_answers_with_the_sentence_nearest_to_the_question():
    row = {
        "context": "Ann lives in Porto. Tom has a dog.",
        "question": "Where does Ann live in?",
        "answers": ["Porto"],
    }
    found = closest_sentence([row], {})
    assert found["f1"][0] == pytest.approx(2 * 1 / (4 + 1)) and found["exact"][0] == 0
