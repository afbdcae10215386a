"""Messages as plain lines: for log files, pipes and screen readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from aitk.cli import cells
from aitk.cli.cells import Row

PROGRESS_EVERY_S = 5.0


class Presenter(Protocol):
    """Presentation of a command's messages on stderr."""

    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def fail(self, text: str) -> None: ...
    def next(self, command: str) -> None: ...
    def status(self, text: str) -> None: ...
    def progress(self, what: str, done: int, total: int | None, detail: str) -> None: ...
    def epoch(self, row: Row, *, best: int, epochs: int) -> None: ...
    def result(self, facts: Row, table: Sequence[Row]) -> None: ...
    def end_progress(self) -> None: ...
    def close(self) -> None: ...


class Plain:
    """One line per message; for progress, a line every few seconds.

    Args:
        write: writes one or more complete lines.
    """

    def __init__(self, write: Callable[[str], None]):
        self.say = write
        self._progress: _Progress | None = None

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def fail(self, text: str) -> None:
        self.say(text)

    def next(self, command: str) -> None:
        self.say(f"next: {command}")

    def status(self, text: str) -> None:
        self.end_progress()
        self.say(text)

    def progress(self, what: str, done: int, total: int | None, detail: str) -> None:
        if self._progress is None or self._progress.what != what:
            self.end_progress()
            self._progress = _Progress(what)
        if line := self._progress.due(done, total, detail):
            self.say(line)

    def epoch(self, row: Row, *, best: int, epochs: int) -> None:
        scores = [
            f"{name.replace('_', ' ')} {cells.fact(name, value)}"
            for name, value in row.items()
            if name != "epoch"
        ]
        mark = " (best so far)" if row["epoch"] == best else ""
        self.say(f"epoch {row['epoch']}/{epochs}: {', '.join(scores)}{mark}")

    def result(self, facts: Row, table: Sequence[Row]) -> None:
        if lines := list(cells.result_lines(facts, table)):
            self.say("\n".join(lines))

    def end_progress(self) -> None:
        if self._progress is not None:
            # Work that finishes before its first line is due needs none.
            if line := self._progress.last():
                self.say(line)
            self._progress = None

    def close(self) -> None:
        self.end_progress()


class _Progress:
    """The state of one piece of work, shown as a line every few seconds."""

    def __init__(self, what: str):
        self.what = what
        self._started = self._shown = time.monotonic()
        self._state: tuple[int, int | None, str] = (0, None, "")

    def due(self, done: int, total: int | None, detail: str) -> str | None:
        self._state = (done, total, detail)
        if time.monotonic() - self._shown < PROGRESS_EVERY_S:
            return None
        self._shown = time.monotonic()
        return self._line()

    def last(self) -> str | None:
        if self._shown == self._started:
            return None
        return self._line()

    def _line(self) -> str:
        done, total, detail = self._state
        taken = time.monotonic() - self._started
        rate = done / taken if taken > 0 else 0.0
        parts = [f"{done}/{total} ({done / total:.0%})" if total else f"{done}", f"{rate:.4g}/s"]
        if total and rate and done < total:
            parts.append(f"{cells.clock((total - done) / rate)} left")
        return f"{self.what}: {', '.join([*parts, detail] if detail else parts)}"
