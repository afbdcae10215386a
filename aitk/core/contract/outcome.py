"""The result of a stage: facts for ``--json``, a table, and what fell short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The result of a stage.

    Attributes:
        facts: JSON values, displayed as lines and printed in full by ``--json``.
        table: rows to display as a table, with equal keys.
        refused: number of refused rows (exit 6 if any).
        missed: description of a missed budget (exit 7).
        broken: description of missing or damaged parts (exit 4).
        next: the usual next command.
    """

    facts: Mapping[str, Any]
    table: Sequence[Mapping[str, Any]] = ()
    refused: int = 0
    missed: str | None = None
    broken: str | None = None
    next: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the process, the most severe first."""
        if self.broken:
            return 4
        return 7 if self.missed else 6 if self.refused else 0
