"""Options of the embedding task: the layout of its rows, and the output of ``predict``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import PredictOptions, option
from aitk.nlp.data.options import TextReading

#: Content of a row.
TEXTS, PAIRS, TRIPLETS, SCORED = "texts", "pairs", "triplets", "scored"


@dataclass(frozen=True)
class EmbedReading(TextReading):
    """Plain texts; with further columns: pairs, triplets or scored pairs."""

    pair_column: str | None = option(
        None,
        "column of a text that matches the first: rows are pairs",
        locates=True,
    )
    negative_column: str | None = option(
        None, "column of a text that does not match it: rows are triplets", locates=True
    )
    score_column: str | None = option(
        None, "column of the similarity of the two texts: rows are scored pairs", locates=True
    )

    @property
    def form(self) -> str:
        """Content of a row."""
        if self.score_column is not None:
            return SCORED
        if self.negative_column is not None:
            return TRIPLETS
        return PAIRS if self.pair_column is not None else TEXTS


@dataclass(frozen=True)
class EmbedOptions(PredictOptions):
    """The output for a text: its vector, or the texts or words most similar to it."""

    default_top_k: ClassVar[int] = 10

    nearest: str | None = option(
        None,
        "instead of INPUT: find the neighbours of this word or text, in the texts of --index"
        " or the vocabulary",
    )
    index: str | None = option(
        None, "file of texts, one per line: write the most similar ones for each row"
    )
    neighbours: bool = option(
        False, "write the most similar words of the vocabulary for each row (word vectors)"
    )
    digits: int = option(6, "significant digits of vector components", minimum=1, maximum=17)
