"""The baseline of question answering: a sentence of the context (Richardson et al. 2013, section
5.1, its bag of words over sentences instead of windows)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.metrics.baselines import Measured, Rows
from aitk.nlp.data.words import split_sentences, split_words
from aitk.nlp.metrics.qa import best_match, rules_for


def closest_sentence(rows: Rows, measured: Measured) -> Measured:
    """The measurements that ``QuestionAnswering.measure`` would make."""
    f1, exact = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for at, row in enumerate(rows):
        answers = tuple(row["answers"])
        exact[at], f1[at] = best_match(_closest(row), answers, rules_for(row["context"]))
    return {**measured, "f1": f1, "exact": exact, "silent": np.zeros(len(rows), np.float32)}


def _closest(row: Mapping[str, Any]) -> str:
    """The sentence that shares the most distinct words with the question; the first of ties."""
    context = row["context"]
    wanted = _words(row["question"])
    sentences = [context[start:end].strip() for start, end in split_sentences(context)]
    return max(sentences, key=lambda each: len(wanted & _words(each)), default=context)


def _words(text: str) -> set[str]:
    words = (text[start:end].casefold() for start, end in split_words(text))
    return {word for word in words if word.isalnum()}
