"""Further processes on this machine that work on a study: ``tune --workers``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from aitk.core.contract.options import as_dict
from aitk.core.contract.task import Note
from aitk.core.distributed.local import LocalEngine
from aitk.core.distributed.messages import DONE, ENDS, FAILED, LOST, Message

WORK = "aitk.stages.tuning.worker:open_trials"
_SAVE_S = 120.0  # timeout for saving the state of a trial


class Workers(contextlib.AbstractContextManager["Workers"]):
    """Processes that train trials while the block runs; on failure they save their trials.

    Args:
        call: the arguments of ``search.open_search``.
        count: number of processes.
        warn: receives messages on failed processes.
    """

    def __init__(self, call: Mapping[str, Any], *, count: int, warn: Note):
        self.call, self.count, self.warn = call, count, warn
        self._workers: list[Any] = []

    def __enter__(self) -> Workers:
        if self.count <= 0:
            return self
        common = dict(self.call) | {
            name: as_dict(self.call[name]) for name in ("options", "training")
        }
        # The leader trains too, so that it has a share of the processors.
        self._engine = LocalEngine(self.count + 1)
        for _ in range(self.count):
            self._workers.append(self._engine.start(WORK, common))
        for worker in self._workers:
            worker.send({})
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if not self._workers:
            return
        ended = False
        try:
            if kind is None:
                self._wait()
                ended = True
        finally:
            left = [] if ended else self._workers
            self._engine.close(self._workers, gently=left, grace_s=_SAVE_S)

    def _wait(self) -> None:
        """Until each of them has ended its last trial."""
        busy = {worker: number for number, worker in enumerate(self._workers, 1)}
        while busy:
            for worker, message in self._engine.wait():
                if worker not in busy or not any(end in message for end in ENDS):
                    continue
                number = busy.pop(worker)
                if DONE not in message:
                    self.warn(f"process {number} ended: {_reason(message)}")
                if LOST in message:
                    self._workers.remove(worker)
                    self._engine.stop(worker)


def _reason(message: Message) -> str:
    if FAILED in message:
        return str(message[FAILED]["what"])
    if LOST in message:
        return str(message[LOST])
    return str(next(iter(message.values()))).strip().splitlines()[-1]
