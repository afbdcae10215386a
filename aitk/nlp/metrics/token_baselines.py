"""The baselines of language models: unigram and bigram frequencies of the training tokens.

They predict the tokens of the model's own tokeniser, so that perplexities are comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from aitk.core.contract.task import Assets, AssetsT, Batch, Example, Task
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.nlp.features.tokenizers.subwords import Tokenizer

#: Maximum number of training tokens counted.
TRAINING_TOKENS = 2_000_000
ROWS_AT_ONCE = 256


class TokenAssets(Assets, Protocol):
    """Assets with a tokeniser."""

    @property
    def tokenizer(self) -> Tokenizer: ...


TokenAssetsT = TypeVar("TokenAssetsT", bound=TokenAssets)

#: The batches with all that is scored of a batch of rows (``features.causal.scored_parts``).
Parts = Callable[[Batch], Iterable[Batch]]
#: For each slot of a batch, (batch, slots): the log probability of its target, and the most likely
#: token.
PredictTokens = Callable[[Batch], tuple[np.ndarray, np.ndarray]]


def unigram_baseline(
    frequencies: Frequencies, task: Task[AssetsT], assets: AssetsT, parts: Parts | None = None
) -> Baseline:
    """Each token by its frequency in training, with add-one smoothing."""

    def predict(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        targets = np.asarray(batch.targets)
        likeliest = np.full(targets.shape, frequencies.tokens.argmax())
        return np.log(frequencies.tokens[targets]), likeliest

    return _baseline("token frequencies", task, assets, predict, parts)


def bigram_baseline(
    frequencies: Frequencies, task: Task[AssetsT], assets: AssetsT, parts: Parts | None = None
) -> Baseline:
    """Each token by the previous one, smoothed by frequencies (Witten and Bell 1991, method C)."""

    def predict(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        before, targets = np.asarray(batch.inputs["token_ids"]), np.asarray(batch.targets)
        return np.log(frequencies.of_pairs(before, targets)), frequencies.followers[before]

    return _baseline("token pairs", task, assets, predict, parts)


class Frequencies:
    """Frequencies of training tokens and of pairs of them.

    Args:
        never: ids that are never prediction targets.
    """

    def __init__(
        self, task: Task[TokenAssetsT], assets: TokenAssetsT, train: Rows, *, never: Iterable[int]
    ):
        size = assets.tokenizer.vocabulary_size
        texts: list[np.ndarray] = []
        seen = 0
        for example in _encoded(task, assets, train):
            texts.append(example.inputs["token_ids"])
            seen += len(texts[-1])
            if seen >= TRAINING_TOKENS:
                break
        every = np.concatenate([*texts, np.zeros(0, np.int32)])
        counts = np.bincount(every, minlength=size) + 1.0
        counts[list(never)] = 1.0
        self.tokens = counts / counts.sum()  # (tokens,)
        pairs = np.concatenate(
            [ids[:-1].astype(np.int64) * size + ids[1:] for ids in texts] + [np.zeros(0, np.int64)]
        )
        self._pairs, self._counts = np.unique(pairs, return_counts=True)
        self._size = size
        first = self._pairs // size
        self._after = np.bincount(first, weights=self._counts, minlength=size)
        self._kinds = np.bincount(first, minlength=size)
        # The most frequent successor of each token.
        self.followers = np.full(size, self.tokens.argmax())
        order = np.argsort(self._counts, kind="stable")
        self.followers[first[order]] = self._pairs[order] % size

    def of_pairs(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The probability of each token ``after`` given the one ``before``."""
        wanted = before.astype(np.int64) * self._size + after
        counts = np.zeros(wanted.shape)
        if len(self._pairs):
            places = np.searchsorted(self._pairs, wanted).clip(max=len(self._pairs) - 1)
            counts = np.where(self._pairs[places] == wanted, self._counts[places], 0)
        kinds = np.maximum(self._kinds[before], 1)
        return (counts + kinds * self.tokens[after]) / (self._after[before] + kinds)


def _baseline(
    name: str, task: Task[AssetsT], assets: AssetsT, predict: PredictTokens, parts: Parts | None
) -> Baseline:
    def measure(rows: Rows, measured: Measured) -> Measured:
        losses, rights = [], []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            examples = task.encode(rows[start : start + ROWS_AT_ONCE], assets)
            batch = task.collate(examples, assets)
            loss, right = np.zeros(len(examples)), np.zeros(len(examples), int)
            for part in parts(batch) if parts else [batch]:
                places = part.context.get("rows", np.arange(len(examples)))
                used = np.asarray(part.weights) > 0
                logs, likeliest = predict(part)
                np.add.at(loss, places, np.where(used, -logs, 0).sum(axis=-1))
                np.add.at(right, places, ((likeliest == part.targets) & used).sum(axis=-1))
            losses.append(loss)
            rights.append(right)
        return {**measured, "loss": np.concatenate(losses), "right": np.concatenate(rights)}

    return Baseline(name, measure)


def _encoded(task: Task[AssetsT], assets: AssetsT, rows: Rows) -> Iterator[Example]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield from task.encode(rows[start : start + ROWS_AT_ONCE], assets)
