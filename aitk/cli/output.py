"""The only file that prints: data to stdout, messages to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO, TypeVar

from aitk.cli import cells
from aitk.cli.plain import Plain, Presenter
from aitk.cli.surroundings import close_broken
from aitk.core.contract.errors import (
    AitkError,
    Interrupted,
    UsageError,
    escape_controls,
    unwritable,
)
from aitk.core.contract.outcome import Outcome
from aitk.core.io.values import dump_json
from aitk.core.runtime import interrupts

Item = TypeVar("Item")

TICKS_PER_SECOND = 10.0


class Output:
    """The output of one command: a ``Reporter`` for its stage, and its result.

    Args:
        as_json: print the result to stdout as one JSON object.
        quiet: no messages, except errors and explanations of an exit code.
        is_data: the result itself is data (a list, a table).
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, is_data: bool = False):
        self.as_json, self.quiet, self.is_data = as_json, quiet, is_data
        self._opened: Presenter | None = None

    @property
    def _talk(self) -> Presenter:
        """The presenter of messages on stderr; rich is imported for a terminal only."""
        if self._opened is None:
            if _is_terminal(sys.stderr):
                from aitk.cli.terminal import Terminal

                self._opened = Terminal(sys.stderr)
            else:
                self._opened = Plain(_print)
        return self._opened

    def note(self, text: str) -> None:
        """Print one plain line."""
        if not self.quiet:
            self._talk.say(_one_line(text))

    def warn(self, text: str) -> None:
        """Print one line that needs the user's attention."""
        if not self.quiet:
            self._talk.warn(_one_line(text))

    def help(self, text: str) -> None:
        """Print usage help of several lines."""
        self._talk.say(_shown(text))

    def stopping(self) -> None:
        """Acknowledge a signal, if the work does not stop immediately."""
        self.note("stopping at the next safe point; Ctrl-C once more stops at once")

    def status(self, text: str) -> None:
        """Show the current activity, if its end is unknown."""
        if not self.quiet:
            self._talk.status(_one_line(text))

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        """Yield the items, showing how many are done, the rate and the remaining time."""
        if total is None and isinstance(items, Sequence):
            total = len(items)
        done, shown = 0, 0.0
        try:
            for item in items:
                yield item
                interrupts.check()
                done += 1
                now = time.monotonic()
                if now - shown >= 1 / TICKS_PER_SECOND:
                    shown = now
                    self.update(what, done, total)
            self.update(what, done, done)
        finally:
            self._end_progress()

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Show the state of work that is not a loop over items."""
        if not self.quiet:
            self._talk.progress(_one_line(what), done, total, _one_line(detail))
            if total is not None and done >= total:
                self._talk.end_progress()

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        """Show the scores of a finished epoch, and the best epoch so far."""
        if not self.quiet:
            self._talk.epoch(row, best=best, epochs=epochs)

    def close(self) -> None:
        """Remove progress displays; final output stays on the terminal."""
        if self._opened is not None:
            self._opened.close()

    def _end_progress(self) -> None:
        if self._opened is not None:
            self._opened.end_progress()

    def write(self, text: str) -> None:
        """Write data to stdout unchanged, except for control sequences on a terminal.

        Raises:
            Interrupted: its reader has closed it.
            UsageError: stdout is closed, or its disk is full.
        """
        if sys.stdout is None:
            raise UsageError("is closed", where="stdout", hint="Open it, or use --out FILE")
        try:
            sys.stdout.write(_shown(text) if sys.stdout.isatty() else text)
        except OSError as error:
            raise _unwritable(error) from error
        self.flush()

    def flush(self) -> None:
        """Write the rest of the data to stdout. Raises like ``write``."""
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
        elif self.is_data:
            self._show_data(outcome)
        elif not self.quiet:
            self._talk.result(_shown_facts(outcome), outcome.table)
        if outcome.refused:
            self._talk.say(
                f"{outcome.refused} row{'s were' if outcome.refused > 1 else ' was'} refused"
            )
        for shortfall in (outcome.missed, outcome.broken):
            if shortfall:
                self._talk.warn(_one_line(shortfall))
        if outcome.next and not self.quiet:
            self._talk.next(_one_line(outcome.next))

    def _show_data(self, outcome: Outcome) -> None:
        """Show a result that is data: on stdout, in columns; wrapped on a terminal only."""
        if _is_terminal(sys.stdout):
            from aitk.cli.terminal import Terminal

            Terminal(sys.stdout).result(_shown_facts(outcome), outcome.table)
        else:
            lines = cells.result_lines(_shown_facts(outcome), outcome.table)
            self.write("".join(f"{_shown(line)}\n" for line in lines))

    def fail(self, error: AitkError) -> None:
        """Show an error in one line."""
        self.close()
        self._talk.fail(_one_line(f"aitk: {error.line}"))
        if self.as_json:
            details = {"what": error.what, "where": error.where, "hint": error.hint}
            text = dump_json({"error": details, "exit_code": error.exit_code})
            # The exit code is that of the first failure, which may be stdout's own.
            with contextlib.suppress(Interrupted, UsageError):
                self.write(f"{text}\n")


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _print(text: str) -> None:
    """Print to stderr, or ignore a failure to do so."""
    try:
        print(_shown(text), file=sys.stderr, flush=True)
    except OSError:
        close_broken(sys.stderr)


def _unwritable(error: OSError) -> AitkError:
    close_broken(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return Interrupted("the reader of stdout has closed it")
    return unwritable(error, "stdout", hint=None)


def _shown(text: str) -> str:
    """Several lines in a form that is safe for a terminal."""
    return escape_controls(text, keep="\n\t")


def _one_line(text: str) -> str:
    return escape_controls(text, keep="\t")


def _shown_facts(outcome: Outcome) -> dict[str, Any]:
    """The facts to display: single values and counts, not lists and other mappings."""
    shown: dict[str, Any] = {}
    for name, value in outcome.facts.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            shown[name] = value
        elif isinstance(value, Mapping) and value and all(type(n) is int for n in value.values()):
            shown[name] = ", ".join(f"{count:,} {what}" for what, count in value.items())
    return shown


def _facts(outcome: Outcome) -> dict[str, Any]:
    """The whole outcome, as JSON."""
    output: dict[str, Any] = dict(outcome.facts)
    if outcome.table:
        output["table"] = [dict(row) for row in outcome.table]
    for name in ("refused", "missed", "broken", "next"):
        value = getattr(outcome, name)
        if value and name not in output:
            output[name] = value
    return output | {"exit_code": outcome.exit_code}


def _plain(value: Any) -> Any:
    """JSON-compatible values for NumPy values and paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
