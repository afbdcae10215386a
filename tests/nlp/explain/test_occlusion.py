"""Words are weighed by what their absence costs."""

import numpy as np
import pytest

from aitk.nlp.explain.occlusion import MOST_PIECES, explain_text, split_pieces

VALUES = {"good": 0.3, "bad": -0.2, "好": 0.4}


def probability(texts):
    """Each good word adds to the probability, each bad one takes from it."""
    return np.array(
        [0.5 + sum(value * text.count(word) for word, value in VALUES.items()) for text in texts]
    )


def pieces_of(text):
    return [text[start:end] for start, end in split_pieces(text)]


def test_a_words_weight_is_the_fall_of_the_probability_without_it():
    parts = explain_text("A good film, a bad end.", probability)["parts"]
    weights = {part["text"]: part["weight"] for part in parts}
    assert weights["good"] == pytest.approx(0.3)
    assert weights["bad"] == pytest.approx(-0.2)
    assert weights["film"] == weights[", "] == 0.0


def test_the_parts_are_the_whole_text():
    text = "  A good\nfilm — 很好!  "
    assert "".join(part["text"] for part in explain_text(text, probability)["parts"]) == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("don't re-do it!", ["don't", "re-do", "it"]),
        ("很好 movie", ["很", "好", "movie"]),
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("naïve café", ["naïve", "café"]),
        ("... !!", []),
        ("", []),
    ],
)
def test_words_are_words_and_unspaced_scripts_characters(text, pieces):
    assert pieces_of(text) == pieces


def test_long_texts_are_taken_in_groups_of_words():
    text = "word " * 1000
    pieces = pieces_of(text)
    assert len(pieces) <= MOST_PIECES
    assert pieces[0] == "word word word word"


def test_named_words_matter_more_than_random_ones():
    faithfulness = explain_text("a good and long film with many other words", probability)[
        "faithfulness"
    ]
    assert faithfulness["deleted"] == 2
    assert faithfulness["named"] == pytest.approx(0.3)
    assert faithfulness["random"] < 0.3


def test_a_text_of_one_word_has_nothing_to_compare_with():
    assert explain_text("good", probability)["faithfulness"] is None
    assert explain_text("", probability) == {"parts": [], "faithfulness": None}


def test_the_fewest_words_are_found_without_which_something_else_is_predicted():
    def predicted(texts):
        return ["yes" if "good" in text or "long" in text else "no" for text in texts]

    found = explain_text("a good and long film", probability, predicted=predicted)
    assert found["counterfactual"]["prediction"] == "no"
    assert set(found["counterfactual"]["without"]) >= {"good", "long"}
    always = explain_text("a good film", probability, predicted=lambda texts: ["yes"] * len(texts))
    assert always["counterfactual"] is None
