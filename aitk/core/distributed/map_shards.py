"""Shards of work over several processes; a shard whose worker dies is repeated."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from aitk.core.contract.errors import TrainingError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import once
from aitk.core.distributed.engine import Engine, open_engine
from aitk.core.distributed.messages import (
    DONE,
    LOST,
    NOTE,
    PROGRESS,
    READY,
    STATUS,
    WARN,
    Message,
    raise_failure,
)

#: A shard that loses this many workers is not retried.
MAX_LOSSES = 3


def map_shards(
    work: str,
    common: Message,
    shards: Sequence[Any],
    *,
    workers: int,
    what: str,
    total: int | None = None,
    engine: str | None = None,
    reporter: Reporter,
) -> Iterator[Any]:
    """Yield the result of each shard, in the order of the shards.

    A shard whose worker dies is restarted by another worker. So work must have no effect before it
    is complete: files are written under another name and renamed.

    Args:
        work: ``module:function``, called once per worker; see ``messages.open_work``. Its progress
            is the number of finished items of its shard.
        common: values common to all shards; a worker receives only these and its shards. what,
            total: description and number of items, for the progress display.
        workers: number of concurrent processes.
        engine: address of a Ray cluster; None for local processes.

    Raises:
        AitkError: the error of the first failed shard.
        TrainingError: a shard was lost ``MAX_LOSSES`` times.
        Interrupted: a signal was received; all workers have ended.
    """
    if not shards:
        return
    pool = WorkerPool(work, common, workers=min(workers, len(shards)), engine=engine)
    with contextlib.closing(pool):
        yield from pool.map(shards, what=what, total=total, reporter=reporter)


class WorkerPool:
    """Workers that stay for several calls of ``map``, each of which waits for the one before.

    Args: see ``map_shards``.
    """

    def __init__(self, work: str, common: Message, *, workers: int, engine: str | None = None):
        self._engine: Engine = open_engine(engine, workers=workers)
        self._work, self._common, self._workers = work, common, workers
        self._call: _Map | None = None

    def map(
        self,
        shards: Sequence[Any],
        *,
        what: str,
        total: int | None = None,
        reporter: Reporter,
    ) -> Iterator[Any]:
        """Yield the result of each shard in order, as ``map_shards``. To be iterated to its end."""
        call = _Map(
            self._engine,
            self._work,
            self._common,
            shards,
            what=what,
            total=total,
            reporter=reporter,
        )
        if self._call is not None:
            call.idle, call.starting = self._call.idle, self._call.starting
        self._call = call
        return call.results(self._workers)

    def close(self) -> None:
        """End all workers."""
        call = self._call
        self._engine.close([*call.busy, *call.idle, *call.starting] if call else [])


class _Map:
    """One call of ``map``."""

    def __init__(
        self,
        engine: Engine,
        work: str,
        common: Message,
        shards: Sequence[Any],
        *,
        what: str,
        total: int | None,
        reporter: Reporter,
    ):
        self._engine, self._work, self._common, self._shards = engine, work, common, shards
        self._what, self._total, self._reporter = what, total, reporter
        self._note, self._warn = once(reporter.note), once(reporter.warn)
        self._status = once(reporter.status)
        self._todo = deque(range(len(shards)))
        self._losses = [0] * len(shards)
        self._done = [0] * len(shards)  # items done per shard
        self.busy: dict[Any, int] = {}
        self.idle: list[Any] = []
        self.starting: list[Any] = []
        self._stillborn = 0

    def results(self, workers: int) -> Iterator[Any]:
        """The results in order; workers continue while the caller uses them."""
        found: dict[int, Any] = {}
        following = 0
        while following < len(self._shards):
            while self._todo and self.idle:
                worker = self.idle.pop()
                number = self._todo.popleft()
                self.busy[worker] = number
                worker.send(self._shards[number])
            # A cluster may have no room for another worker: whoever is there does its shards.
            running = len(self.busy) + len(self.idle) + len(self.starting)
            for _ in range(min(workers - running, len(self._todo) - len(self.starting))):
                self.starting.append(self._engine.start(self._work, self._common))
            for worker, message in self._engine.wait():
                self._hear(worker, message, found)
            while following in found:
                yield found.pop(following)
                following += 1

    def _hear(self, worker: Any, message: Message, found: dict[int, Any]) -> None:
        if LOST in message:
            self._lose(worker, message[LOST])
            return
        if READY in message and worker in self.starting:
            self.starting.remove(worker)
            self.idle.append(worker)
        number = self.busy.get(worker)
        if number is None:
            return
        if DONE in message:
            found[number] = message[DONE]
            del self.busy[worker]
            self.idle.append(worker)
        elif PROGRESS in message:
            self._done[number] = message[PROGRESS][1]
            detail = f"{len(self.busy)} workers" if len(self.busy) > 1 else ""
            self._reporter.update(self._what, sum(self._done), self._total, detail)
        elif NOTE in message:
            self._note(message[NOTE])
        elif WARN in message:
            self._warn(message[WARN])
        elif STATUS in message:
            self._status(message[STATUS])
        raise_failure(message)

    def _lose(self, worker: Any, how: str) -> None:
        """Put the shard of a lost worker back at the head of the queue."""
        self._engine.stop(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        if worker in self.starting:
            self.starting.remove(worker)
            self._stillborn += 1
            if self._stillborn == MAX_LOSSES:
                raise TrainingError(f"{MAX_LOSSES} workers died as they started ({how})")
        number = self.busy.pop(worker, None)
        if number is None:
            return
        self._losses[number] += 1
        self._done[number] = 0
        shard = f"shard {number + 1} of {len(self._shards)}"
        if self._losses[number] == MAX_LOSSES:
            raise TrainingError(
                f"{shard} was lost {MAX_LOSSES} times, the last time with {how}",
                hint="There may be too little memory: use fewer --workers",
            )
        self._reporter.warn(f"a worker was lost ({how}): {shard} is done again")
        self._todo.appendleft(number)
