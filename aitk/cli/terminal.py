"""Messages on a terminal, drawn with rich: tables, progress and epochs that update in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.style import Style
from rich.table import Table
from rich.text import Text

from aitk.cli import cells
from aitk.cli.cells import Row
from aitk.core.contract.errors import escape_controls

#: Epochs shown during training; all are shown at its end.
EPOCHS_SHOWN = 12


class Terminal:
    """Presents the messages of a command. Current activity is displayed below them.

    Colours follow ``NO_COLOR``, as rich does.
    """

    def __init__(self, stream: TextIO):
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self._work: Progress | None = None
        self._what = ""
        self._epochs: list[Row] = []
        self._best = 0

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def warn(self, text: str) -> None:
        self._console.print(Text.assemble(("warning: ", "bold yellow"), text))

    def fail(self, text: str) -> None:
        self._console.print(Text(text, style="bold red"))

    def next(self, command: str) -> None:
        self._console.print(Text.assemble(("next: ", "dim"), (command, "bold")))

    def status(self, text: str) -> None:
        self._begin(text, _waiting())

    def progress(self, what: str, done: int, total: int | None, detail: str) -> None:
        if self._what != what or self._work is None:
            self._begin(what, _counting())
        assert self._work is not None
        self._work.update(self._work.task_ids[0], completed=done, total=total, detail=detail)

    def epoch(self, row: Row, *, best: int, epochs: int) -> None:
        if self._epochs and row["epoch"] <= self._epochs[-1]["epoch"]:
            self.close()  # another training has started, as in tune
        self._epochs.append(row)
        self._best = best
        self._start()

    def result(self, facts: Row, table: Sequence[Row]) -> None:
        if facts:
            grid = Table.grid(padding=(0, 2))
            for name, value in facts.items():
                grid.add_row(
                    Text(_visible(name.replace("_", " ")), style="dim"), _value(name, value)
                )
            self._console.print(grid)
        if table:
            self._console.print(_table(table))

    def end_progress(self) -> None:
        self._work, self._what = None, ""
        if not self._epochs:
            self._stop()

    def close(self) -> None:
        self._work, self._what = None, ""
        self._stop()
        if self._epochs:
            self._console.print(self._epoch_table(self._epochs))
            self._epochs = []

    def _begin(self, what: str, work: Progress) -> None:
        work.add_task(what, total=None, detail="")
        self._work, self._what = work, what
        self._start()

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                transient=True,
                refresh_per_second=10,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._epochs:
            latest = self._epochs[-EPOCHS_SHOWN:]
            best = [row for row in self._epochs[:-EPOCHS_SHOWN] if row["epoch"] == self._best]
            parts.append(self._epoch_table([*best, *latest]))
        if self._work is not None:
            parts.append(self._work)
        return Group(*parts)

    def _epoch_table(self, rows: Sequence[Row]) -> Table:
        return _table(
            [{**row, "": "best" if row["epoch"] == self._best else ""} for row in rows],
            bold={index for index, row in enumerate(rows) if row["epoch"] == self._best},
        )


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.{0 if speed >= 100 else 1}f}/s" if speed else "", style="dim")


def _waiting() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    )


def _counting() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )


def _table(rows: Sequence[Row], *, bold: Collection[int] = ()) -> Table:
    """A table; the rows with these indices are highlighted."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    found = cells.columns(rows)
    for column in found:
        table.add_column(
            Text(_visible(column.title)),
            justify="right" if column.numeric and column.title else "left",
            overflow="fold",
        )
    for index, row in enumerate(zip(*(column.cells for column in found), strict=True)):
        style = "bold green" if index in bold else ""
        table.add_row(*(Text(_visible(text)) for text in row), style=style)
    return table


def _value(name: str, value: Any) -> Text:
    """A fact; an existing file or folder is shown as a link."""
    text = _visible(cells.fact(name, value))
    if isinstance(value, str) and "/" in value and _exists(value):
        # Appended, so that the link excludes the padding of its cell.
        return Text().append(text, Style(link=Path(value).resolve().as_uri(), underline=True))
    return Text(text)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # an invalid file name
        return False


def _visible(text: str) -> str:
    return escape_controls(text, keep="\n\t")
