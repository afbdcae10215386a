"""What a stage hands back: facts for ``--json``, a table to show, what fell short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The result of a stage.

    Attributes:
        facts: JSON values, shown as lines and printed whole by ``--json``.
        table: rows to show as a table, all with the same keys.
        refused: rows that were refused (exit 6 if any).
        missed: the stated budget that was missed, in words (exit 7).
        broken: what was found missing or damaged, in words (exit 4).
        next: the command that usually follows.
    """

    facts: Mapping[str, Any]
    table: Sequence[Mapping[str, Any]] = ()
    refused: int = 0
    missed: str | None = None
    broken: str | None = None
    next: str | None = None

    @property
    def exit_code(self) -> int:
        """What the process exits with, the worst first."""
        if self.broken:
            return 4
        return 7 if self.missed else 6 if self.refused else 0
