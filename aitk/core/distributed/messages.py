"""Messages between a worker and its driver, as JSON objects.

The driver sends ``{"work", "common"}`` once and then ``{"shard"}`` for each shard. A worker replies
with progress, and finally with its result or an error. Nothing is pickled, and larger data are
files that both processes can access.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from aitk.core.contract import errors
from aitk.core.contract.errors import AitkError
from aitk.core.runtime import interrupts

#: A JSON object.
Message = dict[str, Any]
Send = Callable[[Message], None]
Item = TypeVar("Item")

#: Final messages of a shard.
DONE, FAILED, BUG, LOST = "done", "failed", "bug", "lost"
#: Progress messages of a worker.
PROGRESS, NOTE, WARN, STATUS, EPOCH = "progress", "note", "warn", "status", "epoch"
#: A worker has started, and takes shards.
READY = "ready"
ENDS = (DONE, FAILED, BUG, LOST)


class Reports:
    """A ``Reporter`` that sends reports to the driver."""

    def __init__(self, send: Send):
        self._send = send

    def note(self, text: str) -> None:
        self._send({NOTE: text})

    def warn(self, text: str) -> None:
        self._send({WARN: text})

    def status(self, text: str) -> None:
        self._send({STATUS: text})

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        self._send({EPOCH: {"row": dict(row), "best": best, "epochs": epochs}})

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        del what, total
        for item in items:
            yield item
            interrupts.check()

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        self._send({PROGRESS: [what, done, total, detail]})


def pass_on(message: Message, reporter: Any) -> None:
    """Pass a worker's report to the driver's reporter; the caller handles progress."""
    if NOTE in message:
        reporter.note(message[NOTE])
    elif WARN in message:
        reporter.warn(message[WARN])
    elif STATUS in message:
        reporter.status(message[STATUS])
    elif EPOCH in message:
        epoch = message[EPOCH]
        reporter.epoch(epoch["row"], best=epoch["best"], epochs=epoch["epochs"])
    elif PROGRESS in message:
        reporter.update(*message[PROGRESS])


def as_message(error: BaseException) -> Message:
    """An error as a message, which the driver raises again."""
    if isinstance(error, AitkError):
        details = {"what": error.what, "where": error.where, "hint": error.hint}
        return {FAILED: {"kind": type(error).__name__, **details}}
    return {BUG: "".join(traceback.format_exception(error))}


def raise_failure(message: Message) -> None:
    """Raise the error in a worker's message, if any.

    Raises:
        AitkError: the same kind as in the worker.
        RuntimeError: a bug; its text is the worker's traceback.
    """
    if FAILED in message:
        details = message[FAILED]
        kind = getattr(errors, details["kind"], AitkError)
        raise kind(details["what"], where=details["where"], hint=details["hint"])
    if BUG in message:
        raise RuntimeError(f"in a worker:\n{message[BUG]}")


def open_work(work: str, common: Message, send: Send) -> Callable[[Any], Any]:
    """The function that a worker calls for each shard.

    Args:
        work: ``module:function`` in this package. It is called once with ``common`` and a reporter,
            and returns a function from a shard to its result, all of them JSON values.
    """
    module, _, name = work.partition(":")
    opened: Callable[[Any], Any] = getattr(importlib.import_module(module), name)(
        common, reporter=Reports(send)
    )
    return opened
