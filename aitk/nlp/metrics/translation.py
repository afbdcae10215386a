"""BLEU and chrF of translations, as sacreBLEU computes them (Post 2018).

For each row the counts behind the corpus scores are stored, so that any sample of rows has its
exact corpus score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Evaluation
from aitk.core.metrics.statistics import bootstrap_scores, ratio_statistic

#: Script of the references -> sacreBLEU's tokeniser. In scripts without spaces and without their
#: own tokeniser, every character is a word.
SPLITTERS = {"CJK": "zh", "HIRAGANA": "char", "KATAKANA": "char", "THAI": "char", "LAO": "char"}
DEFAULT_SPLITTER = "13a"


def measure_translations(
    predicted: Sequence[str], references: Sequence[str], *, splitter: str
) -> dict[str, np.ndarray]:
    """The counts of each row for BLEU and chrF, which are additive, (rows, counts) float64."""
    bleu, chrf = metrics(splitter)
    return {
        name: np.array(metric._extract_corpus_statistics(predicted, [references]), np.float64)
        for name, metric in (("bleu", bleu), ("chrf", chrf))
    }


def score_translations(
    measured: Mapping[str, np.ndarray], *, splitter: str, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """BLEU and chrF (0 to 100) and, if losses were measured, the references' perplexity.

    Raises:
        DataError: there is no row.
    """
    bleu, chrf = metrics(splitter)
    counts = {"bleu": measured["bleu"], "chrf": measured["chrf"]}
    if not len(counts["bleu"]):
        raise DataError("no row has a reference translation")

    def corpus(drawn: np.ndarray, name: str, metric: Any) -> np.ndarray:
        sums = np.asarray(drawn, np.float64) @ counts[name]
        return np.array([metric._compute_score_from_stats(row.tolist()).score for row in sums])

    def statistic(drawn: np.ndarray) -> np.ndarray:
        return np.stack([corpus(drawn, "bleu", bleu), corpus(drawn, "chrf", chrf)], axis=1)

    rows = len(counts["bleu"])
    scores = bootstrap_scores(statistic, rows, resamples=resamples, seed=seed)
    found = {"bleu": scores[0], "chrf": scores[1]}
    if "loss" in measured and measured["tokens"].sum():
        perplexity = ratio_statistic(measured["loss"], measured["tokens"], finish=np.exp)
        found["perplexity"] = bootstrap_scores(
            lambda drawn: perplexity(drawn)[:, None], rows, resamples=resamples, seed=seed
        )[0]
    return Evaluation(
        metrics=found,
        per_row=np.array([_sentence_bleu(row, bleu) for row in counts["bleu"]]),
        details={
            "bleu_signature": _signature(bleu),
            "chrf_signature": _signature(chrf),
            "hypothesis_words": int(counts["bleu"][:, 0].sum()),
            "reference_words": int(counts["bleu"][:, 1].sum()),
        },
        statistic=lambda drawn: corpus(drawn, "bleu", bleu),
    )


@cache
def metrics(splitter: str) -> tuple[Any, Any]:
    """sacreBLEU's BLEU and chrF."""
    from sacrebleu.metrics import BLEU, CHRF

    return BLEU(tokenize=splitter, force=True), CHRF()


def _sentence_bleu(counts: np.ndarray, bleu: Any) -> float:
    """The BLEU of one sentence, from n-grams no longer than the sentence."""
    return bleu.compute_bleu(
        correct=counts[2:6].tolist(),
        total=counts[6:10].tolist(),
        sys_len=int(counts[0]),
        ref_len=int(counts[1]),
        smooth_method="exp",
        effective_order=True,
    ).score


def _signature(metric: Any) -> str:
    """The settings of a score, in sacreBLEU's short form."""
    metric.num_refs = 1
    return str(metric.get_signature())
