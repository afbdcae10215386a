"""The only file that prints: data on stdout, talk on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from aitk.cli.surroundings import close_broken
from aitk.core import interrupts
from aitk.core.errors import AitkError, Interrupted, UsageError, escape_controls
from aitk.core.outcome import Outcome
from aitk.core.values import dump_json

Item = TypeVar("Item")

PLAIN_EVERY_S = 5.0
TICKS_A_SECOND = 10.0


class Output:
    """What one command says: a ``Reporter`` for its stage, and its result.

    Args:
        as_json: the result goes to stdout as one JSON object.
        quiet: no talk, only errors and what explains an exit code.
        answer: the result is what was asked for (a list, a table), so it is data.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, answer: bool = False):
        self.as_json, self.quiet, self.answer = as_json, quiet, answer
        self._bar: _Bar | None = None

    def note(self, text: str) -> None:
        """Say one plain line."""
        if not self.quiet:
            self._say(_one_line(text))

    def warn(self, text: str) -> None:
        """Say one line that a person should act on."""
        if not self.quiet:
            self._say(f"warning: {_one_line(text)}")

    def help(self, text: str) -> None:
        """Say how to use aitk, in several lines."""
        self._say(text)

    def stopping(self) -> None:
        """Say that a signal was heard, where the work does not stop at once."""
        self.note("stopping at the next safe point; Ctrl-C once more stops at once")

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        """Pass the items on, showing how many are done, the rate and the time left."""
        if total is None and isinstance(items, Sequence):
            total = len(items)
        done, shown = 0, 0.0
        try:
            for item in items:
                yield item
                interrupts.check()
                done += 1
                now = time.monotonic()
                if now - shown >= 1 / TICKS_A_SECOND:
                    shown = now
                    self.update(what, done, total)
            self.update(what, done, done)
        finally:
            self.close()

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Show the state of work that is not a loop over items."""
        if self.quiet:
            return
        what, detail = _one_line(what), _one_line(detail)
        if self._bar is None or self._bar.what != what:
            self.close()
            self._bar = _RichBar(what) if sys.stderr.isatty() else _PlainBar(what)
        self._bar.update(done, total, detail)
        if total is not None and done >= total:
            self.close()

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def write(self, text: str) -> None:
        """Write data to stdout: exactly this text, unless a terminal would obey a part of it.

        Raises:
            Interrupted: its reader has gone.
            UsageError: stdout is closed, or its disk is full.
        """
        if sys.stdout is None:
            raise UsageError("is closed", where="stdout", hint="Open it, or give --out FILE")
        try:
            sys.stdout.write(_shown(text) if sys.stdout.isatty() else text)
        except OSError as error:
            raise _unwritable(error) from error
        self.flush()

    def flush(self) -> None:
        """Write what is left of the data on stdout. Raises as ``write``."""
        if sys.stdout is None:
            return
        try:
            sys.stdout.flush()
        except OSError as error:
            raise _unwritable(error) from error

    def show(self, outcome: Outcome) -> None:
        """Show the result of a command."""
        self.close()
        if self.as_json:
            self.write(dump_json(_facts(outcome), default=_plain) + "\n")
        elif self.answer:
            self.write("".join(f"{_shown(line)}\n" for line in _lines(outcome)))
        elif not self.quiet:
            self._say("\n".join(_lines(outcome)))
        if outcome.refused:
            self._say(f"{outcome.refused} row{'s were' if outcome.refused > 1 else ' was'} refused")
        for shortfall in (outcome.missed, outcome.broken):
            if shortfall:
                self._say(shortfall)
        if outcome.next and not self.quiet:
            self._say(f"next: {outcome.next}")

    def fail(self, error: AitkError) -> None:
        """Show what went wrong, in one line."""
        self.close()
        self._say(f"aitk: {error.line}")
        if self.as_json:
            told = {"what": error.what, "where": error.where, "hint": error.hint}
            text = dump_json({"error": told, "exit_code": error.exit_code})
            # The exit code is that of the first failure, which may be stdout's own.
            with contextlib.suppress(Interrupted, UsageError):
                self.write(f"{text}\n")

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.say(_shown(text))
        else:
            _talk(_shown(text))


def _talk(text: str) -> None:
    """Print to stderr, or go on in silence where nobody can hear it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        close_broken(sys.stderr)


def _unwritable(error: OSError) -> AitkError:
    close_broken(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return Interrupted("the reader of stdout has gone")
    return UsageError(f"cannot be written to ({error.strerror})", where="stdout")


def _shown(text: str) -> str:
    """Several lines as a terminal may show them."""
    return escape_controls(text, keep="\n\t")


def _one_line(text: str) -> str:
    return escape_controls(text, keep="\t")


class _PlainBar:
    """Progress as a line every few seconds: for log files and pipes."""

    def __init__(self, what: str):
        self.what = what
        self._started = self._shown = time.monotonic()
        self._last: tuple[int, int | None, str] | None = None

    def update(self, done: int, total: int | None, detail: str) -> None:
        self._last = (done, total, detail)
        if time.monotonic() - self._shown >= PLAIN_EVERY_S:
            self._shown = time.monotonic()
            self.say(self._line())

    def say(self, text: str) -> None:
        _talk(text)

    def close(self) -> None:
        # Work that was done before a line was due needs none of its own.
        if self._last is not None and time.monotonic() - self._started >= PLAIN_EVERY_S:
            self.say(self._line())

    def _line(self) -> str:
        done, total, detail = self._last or (0, None, "")
        taken = time.monotonic() - self._started
        rate = done / taken if taken > 0 else 0.0
        parts = [f"{done}/{total} ({done / total:.0%})" if total else f"{done}", f"{rate:.4g}/s"]
        if total and rate and done < total:
            parts.append(f"{_clock((total - done) / rate)} left")
        return f"{self.what}: {', '.join([*parts, detail] if detail else parts)}"


class _RichBar:
    """Progress as a bar on a terminal."""

    def __init__(self, what: str):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.what = what
        self._started = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True, highlight=False, markup=False),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(what, total=None, state="")

    def update(self, done: int, total: int | None, detail: str) -> None:
        taken = time.monotonic() - self._started
        rate = done / taken if taken > 0 else 0.0
        state = f"{done}/{total}" if total else str(done)
        state += f" {rate:.4g}/s"
        if total and rate:
            state += f" {_clock((total - done) / rate)} left"
        self._progress.update(
            self._task, completed=done, total=total, state=f"{state} {detail}".strip()
        )

    def say(self, text: str) -> None:
        self._progress.console.print(text)

    def close(self) -> None:
        self._progress.stop()


_Bar = _PlainBar | _RichBar


def _lines(outcome: Outcome) -> Iterator[str]:
    """An outcome for people: its short facts, then its table."""
    for name, value in outcome.facts.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield f"{name.replace('_', ' ')}: {_short(value)}"
    if outcome.table:
        yield from _table_lines(outcome.table)


def _table_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Columns as wide as their widest cell, numbers to the right."""
    names = list(rows[0])
    cells = [[_short(row.get(name)) for name in names] for row in rows]
    right = [all(_is_number(row.get(name)) for row in rows) for name in names]
    titles = [name.replace("_", " ") for name in names]
    widths = [max(map(_width, column)) for column in zip(titles, *cells, strict=True)]
    for line in (titles, *cells):
        padded = [
            " " * (width - _width(cell)) + cell if is_right else cell + " " * (width - _width(cell))
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def _facts(outcome: Outcome) -> dict[str, Any]:
    """Everything an outcome says, as JSON."""
    said: dict[str, Any] = dict(outcome.facts)
    if outcome.table:
        said["table"] = [dict(row) for row in outcome.table]
    for name in ("refused", "missed", "broken", "next"):
        value = getattr(outcome, name)
        if value and name not in said:
            said[name] = value
    return said | {"exit_code": outcome.exit_code}


def _plain(value: Any) -> Any:
    """JSON for NumPy values and paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value))
    return " ".join(str(value).split())


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _width(text: str) -> int:
    """Columns of a terminal: East Asian characters take two."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
