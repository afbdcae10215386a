"""Predicted texts, one per line, as parallel corpora and their scorers have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar


class TextLines:
    """The prediction of each row alone; of a refused row an empty line, to stay aligned."""

    needs_columns: ClassVar[bool] = False

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """One line per row; line breaks inside a text become spaces."""
        return "".join(" ".join(str(row.get("prediction", "")).split()) + "\n" for row in rows)

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """False: any text file looks like one, so ``--overwrite`` replaces none."""
        del head, names
        return False
