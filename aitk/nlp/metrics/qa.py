"""Exact match and F1 of answers, by the official rules.

SQuAD (Rajpurkar et al. 2016, section 6.1; 2018, section 3): lower case, without punctuation and
articles, F1 over words. Contexts in scripts without spaces follow CMRC 2018 (Cui et al. 2019,
section 4): by character, F1 over the longest common run.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.statistics import bootstrap_scores, score_proportion
from aitk.nlp.data.languages import script_of

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
#: Marks that CMRC's script removes.
_CHINESE_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》……·、「」（）－～『』")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_OTHER_WORD = re.compile(r"\w+|[^\w\s]")
_UNSPACED_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI")

Rules = Callable[[str, str], tuple[float, float]]


def rules_for(context: str) -> Rules:
    """The rules for answers from a context: a function (prediction, answer) -> exact match and
    F1."""
    return match_characters if script_of(context) in _UNSPACED_SCRIPTS else match_words


def match_words(predicted: str, answer: str) -> tuple[float, float]:
    """Exact match and F1 by SQuAD's rules; if one is empty, both must be."""
    first, second = normalize_words(predicted), normalize_words(answer)
    exact = float(first == second)
    found, wanted = first.split(), second.split()
    if not found or not wanted:
        return exact, float(found == wanted)
    same = (Counter(found) & Counter(wanted)).total()
    return exact, 2 * same / (len(found) + len(wanted))


def match_characters(predicted: str, answer: str) -> tuple[float, float]:
    """Exact match and F1 by CMRC 2018's rules, with words of other scripts as units.

    Its script takes those words from NLTK; here they are runs of letters and digits, and marks.
    """
    first, second = _without_marks(predicted), _without_marks(answer)
    exact = float(first == second)
    found, wanted = split_characters(predicted), split_characters(answer)
    if not found or not wanted:
        return exact, float(found == wanted)
    return exact, 2 * _longest_shared(found, wanted) / (len(found) + len(wanted))


def normalize_words(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def split_characters(text: str) -> list[str]:
    """Characters of scripts without spaces, and words of others, without CMRC's marks."""
    pieces: list[str] = []
    other = ""
    for letter in text.lower().strip():
        if letter in _CHINESE_MARKS:
            continue
        if _UNSPACED.match(letter):
            pieces += _OTHER_WORD.findall(other)
            other = ""
            pieces.append(letter)
        else:
            other += letter
    return pieces + _OTHER_WORD.findall(other)


def best_match(predicted: str, answers: Sequence[str], rules: Rules) -> tuple[float, float]:
    """The best exact match and the best F1 over the answers; without answers, predicted must be
    ""."""
    pairs = [rules(predicted, answer) for answer in answers or [""]]
    return max(exact for exact, _ in pairs), max(f1 for _, f1 in pairs)


def choose_threshold(margins: np.ndarray, f1: np.ndarray, unanswerable: np.ndarray) -> float:
    """The threshold with the highest mean F1 (SQuAD 2.0's script, ``find_best_thresh``).

    Args:
        margins: (rows,) margin of "no answer" over the best answer.
        f1: (rows,) of the best answer, whether predicted or not.
        unanswerable: (rows,) whether there is no answer.
    """
    order = np.argsort(margins, kind="stable")
    sorted_margins = margins[order]
    # With the first k rows answered: their F1, plus the unanswerable rows among the others.
    answered = np.concatenate([[0.0], np.cumsum(np.where(unanswerable, 0.0, f1)[order])])
    silent = np.concatenate([np.cumsum(unanswerable[order][::-1].astype(float))[::-1], [0.0]])
    best = int(np.argmax(answered + silent))
    if best == 0:
        return float(sorted_margins[0]) - 1.0
    if best == len(order):
        return float(sorted_margins[-1]) + 1.0
    return float((sorted_margins[best - 1] + sorted_margins[best]) / 2)


def score_answers(
    measured: Mapping[str, np.ndarray], *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """Mean F1 and exact match; with unanswerable questions also for both kinds of questions.

    Args:
        measured: (rows,) ``f1`` and ``exact`` of the predictions, ``unanswerable``, and ``silent``
            where no answer was predicted.

    Raises:
        DataError: there are no rows.
    """
    f1, exact = measured["f1"].astype(float), measured["exact"].astype(float)
    unanswerable = measured["unanswerable"].astype(bool)
    if not len(f1):
        raise DataError("there are no rows to score")

    def statistic(counts: np.ndarray) -> np.ndarray:
        return (counts @ f1 / counts.sum(axis=1))[:, None]

    metrics: dict[str, Score] = {
        "f1": bootstrap_scores(statistic, len(f1), resamples=resamples, seed=seed)[0],
        "exact_match": score_proportion(float(exact.sum()), len(exact)),
    }
    tables: dict[str, Any] = {}
    if unanswerable.any():
        answerable = ~unanswerable
        silent = measured["silent"].astype(bool)
        if answerable.any():
            metrics["has_answer_f1"] = Score(float(f1[answerable].mean()))
            metrics["has_answer_exact_match"] = score_proportion(
                float(exact[answerable].sum()), int(answerable.sum())
            )
        metrics["no_answer_accuracy"] = score_proportion(
            float(silent[unanswerable].sum()), int(unanswerable.sum())
        )
        tables["Answered or not"] = [
            {
                "question": kind,
                "answered": int((~silent & rows).sum()),
                "not answered": int((silent & rows).sum()),
            }
            for kind, rows in (("has an answer", answerable), ("has none", unanswerable))
        ]
    if not resamples:
        metrics = {name: Score(score.value) for name, score in metrics.items()}
    return Evaluation(metrics=metrics, per_row=f1.astype(np.float32), details={"tables": tables})


def _without_marks(text: str) -> str:
    return "".join(letter for letter in text.lower().strip() if letter not in _CHINESE_MARKS)


def _longest_shared(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common run of units."""
    best, before = 0, [0] * (len(second) + 1)
    for unit in first:
        row = [0] * (len(second) + 1)
        for at, other in enumerate(second):
            if unit == other:
                row[at + 1] = before[at] + 1
                best = max(best, row[at + 1])
        before = row
    return best
