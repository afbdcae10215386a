"""Perplexity of language models: per text and in total. NumPy only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Batch, Evaluation, Score
from aitk.core.metrics.classification import log_softmax
from aitk.core.metrics.statistics import bootstrap_scores, ratio_statistic
from aitk.nlp.data.quality import count_words
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer


def measure_tokens(batch: Batch, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Per row: number of predicted tokens, of correct ones, and the summed loss (nats).

    Args:
        batch: its targets and weights are (batch, slots); a slot without weight is unused.
        outputs: (batch, slots, vocabulary) logits.
    """
    used = np.asarray(batch.weights) > 0
    targets = np.asarray(batch.targets)
    answers = np.take_along_axis(log_softmax(outputs), targets[..., None], -1)[..., 0]
    right = (outputs.argmax(-1) == targets) & used
    return {
        "tokens": used.sum(-1),
        "right": right.sum(-1),
        "loss": np.where(used, -answers, 0).sum(-1, dtype=np.float64),
    }


@dataclass(frozen=True)
class TokenScores:
    """What a model says about the tokens of each row.

    Attributes:
        sums: the values of ``measure_tokens``, (rows,) each.
        targets: the predicted tokens of each row.
        likeliest: the most likely token in the place of each.
    """

    sums: Mapping[str, np.ndarray]
    targets: Sequence[Sequence[int]]
    likeliest: Sequence[Sequence[int]]

    def measure(self, tokenizer: SubwordTokenizer) -> dict[str, np.ndarray]:
        """The sums, and the ``characters``, ``bytes`` (UTF-8) and ``words`` of the text."""
        texts = [tokenizer.decode(ids) for ids in self.targets]
        counts = {
            "characters": [len(text) for text in texts],
            "bytes": [len(text.encode()) for text in texts],
            "words": [count_words(text) for text in texts],
        }
        return dict(self.sums) | {name: np.maximum(1, each) for name, each in counts.items()}

    def decode(self, tokenizer: SubwordTokenizer) -> list[dict[str, str]]:
        """The most likely tokens of each row as text."""
        return [{"prediction": tokenizer.decode(ids)} for ids in self.likeliest]


def score_rows(
    parts: Iterable[Batch], outputs_of: Callable[[Batch], np.ndarray], *, rows: int
) -> TokenScores:
    """Score rows whose tokens are in several batches; the outputs of one are held at a time.

    Args:
        parts: the context of each has the ``rows`` of its windows, (windows,).
        outputs_of: (windows, slots, vocabulary) logits of a part.
    """
    sums: dict[str, np.ndarray] = {}
    targets: list[list[int]] = [[] for _ in range(rows)]
    likeliest: list[list[int]] = [[] for _ in range(rows)]
    for part in parts:
        outputs, places = outputs_of(part), part.context["rows"]
        for name, values in measure_tokens(part, outputs).items():
            np.add.at(sums.setdefault(name, np.zeros(rows, values.dtype)), places, values)
        best, used = outputs.argmax(-1), np.asarray(part.weights) > 0
        for window, row in enumerate(places):
            targets[row] += np.asarray(part.targets)[window, used[window]].tolist()
            likeliest[row] += best[window, used[window]].tolist()
    return TokenScores(sums, targets, likeliest)


def score_batch(batch: Batch, outputs: np.ndarray) -> TokenScores:
    """Score a batch with a row in each window."""
    rows = len(outputs)
    part = dataclasses.replace(batch, context={"rows": np.arange(rows)})
    return score_rows([part], lambda _: outputs, rows=rows)


def score_tokens(
    measured: Mapping[str, np.ndarray], *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """Perplexity, log loss (nats per token) and accuracy; each token has the same weight.

    Args:
        measured: the output of ``measure_tokens`` for all rows. With the ``characters``, ``bytes``
            (UTF-8) and ``words`` of each row, the scores include bits per character and byte, and
            the perplexity per word, which do not depend on the vocabulary.

    Raises:
        DataError: no row has a token.
    """
    counted = measured["tokens"] > 0
    if not counted.any():
        raise DataError("no row has a token to predict")
    tokens, right, loss = (measured[key][counted] for key in ("tokens", "right", "loss"))
    mean_loss = _ratio(loss, tokens, resamples, seed)
    metrics = {
        "perplexity": _exponential(mean_loss),
        "log_loss": mean_loss,
        "accuracy": _ratio(right, tokens, resamples, seed),
    }
    bits = loss / np.log(2)
    for unit, name in (("characters", "bits_per_character"), ("bytes", "bits_per_byte")):
        if unit in measured:
            metrics[name] = _ratio(bits, measured[unit][counted], resamples, seed)
    if "words" in measured:
        metrics["perplexity_per_word"] = _exponential(
            _ratio(loss, measured["words"][counted], resamples, seed)
        )
    return Evaluation(
        metrics=metrics,
        per_row=loss / tokens,
        details={"tokens": int(tokens.sum())},
        statistic=ratio_statistic(loss, tokens, finish=np.exp),
    )


def _exponential(score: Score) -> Score:
    """The perplexity for a mean loss."""
    ends = (score.low, score.high)
    low, high = (None if end is None else float(np.exp(end)) for end in ends)
    return Score(float(np.exp(score.value)), low, high, score.interval)


def _ratio(sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int) -> Score:
    """A mean over tokens or characters, with its interval over rows."""
    return bootstrap_scores(
        lambda drawn: ((drawn @ sums) / (drawn @ counts))[:, None],
        len(sums),
        resamples=resamples,
        seed=seed,
    )[0]
