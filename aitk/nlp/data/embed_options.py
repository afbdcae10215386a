"""Options of the embedding task: how its rows are found, and what ``predict`` does with vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import PredictOptions, option
from aitk.nlp.data.options import TextReading

#: What a row can hold.
TEXTS, PAIRS, TRIPLETS, SCORED = "texts", "pairs", "triplets", "scored"


@dataclass(frozen=True)
class EmbedReading(TextReading):
    """Plain texts; or, by the columns that are named, pairs, triplets or scored pairs."""

    pair_column: str | None = option(
        None,
        "column of a text that belongs to the first: rows are pairs",
        locates=True,
    )
    negative_column: str | None = option(
        None, "column of a text that does not belong to it: rows are triplets", locates=True
    )
    score_column: str | None = option(
        None, "column of a number, how alike the two texts are: rows are scored pairs", locates=True
    )

    @property
    def form(self) -> str:
        """What a row holds."""
        if self.score_column is not None:
            return SCORED
        if self.negative_column is not None:
            return TRIPLETS
        return PAIRS if self.pair_column is not None else TEXTS


@dataclass(frozen=True)
class EmbedOptions(PredictOptions):
    """What is written for a text: its vector, or what is most similar to it."""

    default_top_k: ClassVar[int] = 10

    nearest: str | None = option(
        None,
        "in place of INPUT: write what is nearest to this word or text, among the texts of --index"
        " or the words of the vocabulary",
    )
    index: str | None = option(
        None, "file of texts, one a line: write the most similar of them for each row"
    )
    neighbours: bool = option(
        False, "write the most similar words of the vocabulary for each row (word vectors)"
    )
    digits: int = option(6, "significant digits of the numbers of a vector", minimum=1, maximum=17)
