"""Errors that users of aitk can act on, each kind with its exit code.

A message states what happened, where, and the next step. Any other exception is a bug and exits
with 1.
"""

from __future__ import annotations

import re

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


#: Maximum length of user values repeated in messages.
_SHOWN_CHARACTERS = 1000

#: C0 and C1 control characters, and those that reorder the surrounding text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape_controls(text: str, *, keep: str = "") -> str:
    """Escape terminal control characters as ``\\u001b``, which is also valid JSON.

    Args:
        keep: control characters to leave unchanged.
    """
    return _CONTROLS.sub(
        lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text
    )


class AitkError(Exception):
    """A problem that the user can act on.

    Args:
        what: what happened, in one sentence without a full stop.
        where: the file, ``file:line`` or option concerned.
        hint: the next step.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The whole message as one line of text."""
        text = (
            f"{_bounded(self.where)}: {_bounded(self.what)}" if self.where else _bounded(self.what)
        )
        text = f"{text}. {_bounded(self.hint)}" if self.hint else text
        return escape_controls(" ".join(text.split()))


def _bounded(text: str) -> str:
    """A part of a message; of a very long one only both ends."""
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    return f"{text[:half]} ... {text[-half:]}"


class UsageError(AitkError):
    exit_code = 2


def unwritable(
    error: OSError, where: object, *, hint: str | None = "Choose another --out"
) -> UsageError:
    """The error for a location that cannot be written: the system's message, and the next step."""
    return UsageError(
        f"cannot be written to ({error.strerror or error})", where=str(where), hint=hint
    )


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
