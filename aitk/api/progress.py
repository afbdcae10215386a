"""Progress of long work as function calls, or as a bar in a notebook. Nothing prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from aitk.core.contract.progress import Reporter, Silent
from aitk.core.runtime import interrupts

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """One report of progress.

    Attributes:
        kind: ``note``, ``warning`` or ``status`` (a sentence); ``epoch`` (scores of a finished
            epoch); ``step`` (items done).
        text: the sentence, or the current activity.
        done: number of finished items.
        total: number of items, if known.
        scores: for an epoch: epoch, loss, metrics, seconds.
    """

    kind: Literal["note", "warning", "status", "epoch", "step"]
    text: str
    done: int | None = None
    total: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


Callback = Callable[[Progress], None]


class CallbackReporter:
    """Converts reports of stages to ``Progress`` objects for a function."""

    def __init__(self, callback: Callback):
        self._callback = callback

    def note(self, text: str) -> None:
        self._callback(Progress("note", text))

    def warn(self, text: str) -> None:
        self._callback(Progress("warning", text))

    def status(self, text: str) -> None:
        self._callback(Progress("status", text))

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        text = f"epoch {row.get('epoch', 0)} of {epochs}, best {best}"
        self._callback(Progress("epoch", text, total=epochs, scores=dict(row)))

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        for done, item in enumerate(items, 1):
            yield item
            interrupts.check()
            self._callback(Progress("step", what, done, total))

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        self._callback(Progress("step", f"{what} {detail}".rstrip(), done, total))


def reporter_for(progress: Callback | Reporter | None) -> Reporter:
    """The reporter of a call: the user's function, a bar in a notebook, otherwise none."""
    if progress is None:
        return CallbackReporter(_NotebookBar()) if _in_notebook() else Silent()
    if callable(progress):
        return CallbackReporter(progress)
    return progress


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return type(found).__name__ == "ZMQInteractiveShell"


class _NotebookBar:
    """One line below the cell, updated in place."""

    def __init__(self) -> None:
        self._display: Any = None

    def __call__(self, progress: Progress) -> None:
        from IPython.display import HTML, display

        text = progress.text
        if progress.kind == "step" and progress.done is not None:
            text += f": {progress.done:,}" + (f" of {progress.total:,}" if progress.total else "")
        if progress.kind == "epoch":
            text = ", ".join(f"{name} {value:.4g}" for name, value in progress.scores.items())
        bar = HTML(_bar(progress) + _escaped(text))
        if self._display is None:
            self._display = display(bar, display_id=True)
        else:
            self._display.update(bar)


def _bar(progress: Progress) -> str:
    if not progress.total or progress.done is None:
        return ""
    return f'<progress value="{progress.done}" max="{progress.total}"></progress> '


def _escaped(text: str) -> str:
    import html

    return html.escape(text)
