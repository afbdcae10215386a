"""N-gram models: against a naive Kneser-Ney, and the laws of probability."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError, UsageError
from aitk.speech.decoding.ngram import (
    END,
    START,
    UNKNOWN,
    NgramModel,
    perplexity,
    read_arpa,
    train_ngram,
    write_arpa,
)

SENTENCES = st.lists(
    st.lists(st.sampled_from("a b c d".split()), min_size=1, max_size=5), min_size=1, max_size=12
)


def corpus(count: int = 400, seed: int = 0) -> list[list[str]]:
    """Sentences over 30 words, frequent and rare ones, each word favouring its successor."""
    rng = np.random.default_rng(seed)
    names = [f"w{number}" for number in range(30)]
    weights = 1 / np.arange(1, 31)
    sentences = []
    for _ in range(count):
        at, sentence = 0, []
        for _ in range(rng.integers(1, 9)):
            follow = rng.random() < 0.5
            at = (at + 1) % 30 if follow else int(rng.choice(30, p=weights / weights.sum()))
            sentence.append(names[at])
        sentences.append(sentence)
    return sentences


def naive_chance(sentences, order: int, context: tuple[str, ...], word: str) -> float:
    """P(word | context) directly from the definition, without cached counts."""
    marked = [(START, *sentence, END) for sentence in sentences]
    vocabulary = {word for sentence in sentences for word in sentence} | {END, UNKNOWN}

    def grams(size):
        return [s[i : i + size] for s in marked for i in range(len(s) - size + 1)]

    def counts(size):
        raw = Counter(grams(size))
        if size == order:
            return raw
        before = {}
        for gram in set(grams(size + 1)):
            before.setdefault(gram[1:], set()).add(gram[0])
        return {g: c if g[0] == START else len(before[g]) for g, c in raw.items()}

    def recurse(context):
        size = len(context) + 1
        table = {g: c for g, c in counts(size).items() if g != (START,)}
        n = Counter(table.values())
        d = [0.5, 1.0, 1.5]
        if all(n[k] for k in (1, 2, 3, 4)):
            y = n[1] / (n[1] + 2 * n[2])
            own = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
            d = own if min(own) > 0 else d
        lower = recurse(context[1:]) if context else 1 / len(vocabulary)
        here = {g: c for g, c in table.items() if g[:-1] == context}
        if not here:
            return lower
        total = sum(here.values())
        count = here.get((*context, word), 0)
        kept = max(0, count - d[min(count, 3) - 1]) if count else 0
        gamma = sum(min(c, d[min(c, 3) - 1]) for c in here.values()) / total
        return kept / total + gamma * lower

    return recurse(context)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_are_those_of_the_definition(order):
    sentences = corpus(60)
    model = train_ngram(sentences, order=order)
    for words in (["w0", "w1", "w2"], ["w3", "w0"], ["w9", "w9", "w1"]):
        state = model.start()
        history = (START,)
        for word in [*words, END]:
            score, state = model.score(state, word)
            context = history[-(order - 1) :] if order > 1 else ()
            wanted = naive_chance(sentences, order, context, word)
            assert math.exp(score) == pytest.approx(wanted, rel=1e-6)
            history = (*history, word)


@settings(deadline=None, max_examples=40)
@given(SENTENCES, st.integers(1, 4))
def test_what_may_follow_sums_to_one(sentences, order):
    model = train_ngram(sentences, order=order)
    words = [*sorted(model.vocabulary), END, UNKNOWN]
    for length in range(order):
        for context in itertools.islice(
            itertools.product(sorted(model.vocabulary), repeat=length), 9
        ):
            state = model.start()
            for word in context:
                _, state = model.score(state, word)
            assert sum(math.exp(model.score(state, w)[0]) for w in words) == pytest.approx(1)


def test_a_model_is_the_same_after_writing_and_reading(tmp_path):
    model = train_ngram(corpus(50), order=3)
    for name in ("model.arpa", "model.arpa.gz"):
        write_arpa(model, tmp_path / name)
        again = read_arpa(tmp_path / name)
        for table, other in zip(model.orders, again.orders, strict=True):
            assert table.keys() == other.keys()
            np.testing.assert_allclose(list(table.values()), [other[g] for g in table], atol=1e-6)


def test_perplexity_is_the_inverse_geometric_mean():
    table = {(w,): (math.log10(0.25), 0.0) for w in ("a", "b", END, UNKNOWN)}
    found = perplexity(NgramModel((table,)), [["a", "b"], ["never"]])
    assert found["perplexity"] == pytest.approx(4)
    assert (found["words"], found["sentences"], found["unknown"]) == (3, 2, 1)


def test_a_higher_order_foretells_its_own_language_better():
    held_out = corpus(100, seed=9)
    values = [perplexity(train_ngram(corpus(), order=n), held_out)["perplexity"] for n in (1, 2)]
    assert values[1] < 0.9 * values[0]


def test_words_of_the_vocabulary_are_known_without_a_sentence():
    model = train_ngram([["a", "b"]], order=2, vocabulary=["c"])
    assert "c" in model.vocabulary
    assert model.sentence_score(["c"]) > -20


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not a complete ARPA"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n\n\\end\\\n", "not a complete ARPA"),
        ("\\data\\\nngram 1=1\n\n\\2-grams:\n-1 a\n\n\\end\\\n", "misplaced"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\nx a\n\n\\end\\\n", "arpa:5"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a b c\n\n\\end\\\n", "fields"),
    ],
)
def test_a_damaged_file_says_where(text, match, tmp_path):
    (tmp_path / "model.arpa").write_text(text)
    with pytest.raises(DataError, match=match):
        read_arpa(tmp_path / "model.arpa")


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(DataError, match="no words"):
        train_ngram([[]])
    with pytest.raises(DataError, match="<s>"):
        train_ngram([["a", "<s>"]])
    with pytest.raises(UsageError, match="order 0"):
        train_ngram([["a"]], order=0)


@pytest.mark.parametrize("line", ["ngram 1=" + "9" * 5000, "ngram 1=x", "ngram =1"])
def test_counts_that_are_no_counts_are_refused(tmp_path, line):
    path = tmp_path / "a.arpa"
    path.write_text(f"\\data\\\n{line}\n\\1-grams:\n-1 a\n\\end\\\n")
    with pytest.raises(DataError, match="cannot read"):
        read_arpa(path)
