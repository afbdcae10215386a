"""Scores of translations equal sacreBLEU's own."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from aitk.nlp.metrics.translation import measure_translations, score_translations

PREDICTED = ["the cat sat on the mat .", "a dog", "he reads a book in the garden"]
REFERENCES = ["the cat sat on a mat .", "a big dog runs", "he reads the book in the garden"]


def test_bleu_and_chrf_are_those_of_sacrebleu():
    measured = measure_translations(PREDICTED, REFERENCES, splitter="13a")
    evaluation = score_translations(measured, splitter="13a")
    bleu = sacrebleu.corpus_bleu(PREDICTED, [REFERENCES])
    chrf = sacrebleu.corpus_chrf(PREDICTED, [REFERENCES])
    assert evaluation.metrics["bleu"].value == pytest.approx(bleu.score)
    assert evaluation.metrics["chrf"].value == pytest.approx(chrf.score)
    assert "tok:13a|smooth:exp" in evaluation.details["bleu_signature"]


def test_a_sample_of_rows_has_its_corpus_score():
    measured = measure_translations(PREDICTED, REFERENCES, splitter="13a")
    evaluation = score_translations(measured, splitter="13a")
    twice = sacrebleu.corpus_bleu(
        PREDICTED[:1] * 2 + PREDICTED[2:], [REFERENCES[:1] * 2 + REFERENCES[2:]]
    )
    assert evaluation.resampled(np.array([[2, 0, 1]]))[0] == pytest.approx(twice.score)


def test_scores_have_intervals():
    measured = measure_translations(PREDICTED * 10, REFERENCES * 10, splitter="13a")
    for score in score_translations(measured, splitter="13a", resamples=50).metrics.values():
        assert score.low < score.value < score.high


def test_chinese_is_split_by_character():
    measured = measure_translations(["我们今天修理水壶。"], ["我们今天修理水壶。"], splitter="zh")
    assert score_translations(measured, splitter="zh").metrics["bleu"].value == pytest.approx(100)
