"""How well tokens are foretold: of single texts, and of all of them. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Batch, Evaluation, Score
from aitk.core.metrics.classification import log_softmax
from aitk.core.metrics.statistics import bootstrap_scores, ratio_statistic


def measure_tokens(batch: Batch, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row: guessed tokens, how many were right, and their summed loss (nats).

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


def score_tokens(
    measured: Mapping[str, np.ndarray], *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """Perplexity, loss (nats a token) and accuracy; each token weighs the same.

    Args:
        measured: what ``measure_tokens`` kept of all rows. With ``characters`` of each row there
            are also bits a character, which vocabularies of any kind have in common.

    Raises:
        DataError: no row has a token.
    """
    counted = measured["tokens"] > 0
    if not counted.any():
        raise DataError("no row holds a token to guess")
    tokens, right, loss = (measured[key][counted] for key in ("tokens", "right", "loss"))
    mean_loss = _ratio(loss, tokens, resamples, seed)
    ends = (mean_loss.low, mean_loss.high)
    low, high = (None if end is None else float(np.exp(end)) for end in ends)
    metrics = {
        "perplexity": Score(float(np.exp(mean_loss.value)), low, high, mean_loss.interval),
        "loss": mean_loss,
        "accuracy": _ratio(right, tokens, resamples, seed),
    }
    if "characters" in measured:
        bits = loss / np.log(2)
        metrics["bits_per_character"] = _ratio(
            bits, measured["characters"][counted], resamples, seed
        )
    return Evaluation(
        metrics=metrics,
        per_row=loss / tokens,
        details={"tokens": int(tokens.sum())},
        statistic=ratio_statistic(loss, tokens, finish=np.exp),
    )


def _ratio(sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int) -> Score:
    """A mean over tokens or characters, with its interval over rows."""
    return bootstrap_scores(
        lambda drawn: ((drawn @ sums) / (drawn @ counts))[:, None],
        len(sums),
        resamples=resamples,
        seed=seed,
    )[0]
