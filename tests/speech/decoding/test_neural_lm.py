"""A text language model in the search: scores equal those of its texts, computed in batches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.task import Task
from aitk.core.inference.text_scores import open_scorer
from aitk.speech.data.transcripts import spoken_lexicon
from aitk.speech.decoding.beam_search import SearchOptions, SlowLanguageModel, beam_search
from aitk.speech.decoding.ctc import log_softmax
from aitk.speech.decoding.neural_lm import CONTEXT_WORDS, TextLanguageModel
from aitk.speech.decoding.ngram import train_ngram
from aitk.speech.features.tokenizers.units import Units

NGRAMS = train_ngram([["a", "b"], ["ab"], ["b", "b", "a"]], order=2)
CHARACTERS = Units("char", ("<blank>", "▁", "a", "b"))


class Scorer:
    """Texts scored by an n-gram model, as by a run; counts its calls."""

    def __init__(self):
        self.calls, self.texts = 0, []

    def __call__(self, texts, *, ended):
        self.calls += 1
        self.texts += [(text, ended) for text in texts]
        return np.array([self._one(text.split(), ended) for text in texts])

    def _one(self, words, ended):
        if ended:
            return NGRAMS.sentence_score(words)
        state, total = NGRAMS.start(), 0.0
        for word in words:
            score, state = NGRAMS.score(state, word)
            total += score
        return total


def steps(count, units, seed):
    return log_softmax(np.random.default_rng(seed).normal(size=(count, units)))


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_the_same_by_texts_as_by_words(seed):
    some = steps(8, 4, seed)
    options = SearchOptions(12, -math.inf, language_weight=0.7, word_bonus=0.3)
    by_words = beam_search(some, CHARACTERS, options=options, model=NGRAMS, best=5)
    by_texts = beam_search(
        some, CHARACTERS, options=options, model=TextLanguageModel(Scorer()), best=5
    )
    assert [each.text for each in by_texts] == [each.text for each in by_words]
    assert [each.score for each in by_texts] == pytest.approx([each.score for each in by_words])


def test_many_texts_are_scored_at_once_and_none_twice():
    scorer = Scorer()
    model = TextLanguageModel(scorer)
    assert isinstance(model, SlowLanguageModel)
    beam_search(steps(12, 4, 0), CHARACTERS, model=model)
    assert len(scorer.texts) == len(set(scorer.texts))
    assert scorer.calls <= 2 * 12 + 4  # at most two a step, and those of the end
    assert len(scorer.texts) > 3 * scorer.calls


def test_words_spelled_alike_are_distinguished():
    units = Units("phone", ("<blank>", "AH", "T", "UW"))
    lexicon = spoken_lexicon({"b": [("T", "UW")], "ab": [("T", "UW")], "a": [("AH",)]})
    some = steps(6, 4, 1)
    found, wanted = (
        beam_search(some, units, lexicon=lexicon, model=model, best=4)
        for model in (TextLanguageModel(Scorer()), NGRAMS)
    )
    assert [each.text for each in found] == [each.text for each in wanted]


def test_a_long_text_is_looked_back_at_no_further_than_needed():
    scorer = Scorer()
    model = TextLanguageModel(scorer)
    state = model.start()
    for _ in range(CONTEXT_WORDS + 5):
        score, state = model.score(state, "b")
    assert len(state) == CONTEXT_WORDS
    assert max(len(text.split()) for text, _ in scorer.texts) == CONTEXT_WORDS + 1
    assert score == pytest.approx(NGRAMS.score(("b",), "b")[0])


def test_what_gives_no_probabilities_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such run"):
        open_scorer(str(tmp_path / "none"), task_of=lambda name: Task)
