"""What can go wrong for a person using aitk, each kind with its exit code.

A message says what happened, where, and the next step. Anything that is not an
``AitkError`` is a bug and exits with 1.
"""

from __future__ import annotations

EXIT_CODES = {
    0: "done",
    1: "a bug in aitk",
    2: "usage: an option or argument is wrong",
    3: "bad data",
    4: "a missing, damaged or incompatible artifact",
    5: "training failed (loss not finite, out of memory)",
    6: "done, but some rows were refused",
    7: "done, but a stated budget was missed",
    130: "interrupted",
}


class AitkError(Exception):
    """A problem its reader can act on.

    Args:
        what: what happened, in one sentence without a full stop.
        where: the file, ``file:line`` or option it happened at.
        hint: the next step.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The whole message as the one line a person reads."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        text = f"{text}. {self.hint}" if self.hint else text
        return " ".join(text.split())


class UsageError(AitkError):
    exit_code = 2


class DataError(AitkError):
    exit_code = 3


class ArtifactError(AitkError):
    exit_code = 4


class TrainingError(AitkError):
    exit_code = 5


class BudgetMissed(AitkError):
    exit_code = 7


class Interrupted(AitkError):
    exit_code = 130
