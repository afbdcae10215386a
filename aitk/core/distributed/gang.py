"""Ranks that work in step: all of them, or none. Where one dies all begin again where they saved.

Each rank is a process. It learns its place from ``TF_CONFIG``, as under any scheduler that starts
TensorFlow on several hosts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import Interrupted, TrainingError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.distributed.engine import Engine, open_engine
from aitk.core.distributed.messages import (
    BUG,
    DONE,
    FAILED,
    LOST,
    Message,
    pass_on,
    raise_failure,
)

#: A gang that has lost a rank so often is not started again.
MAX_RESTARTS = 3
#: How long the loss of a rank may be reported after another one has failed for it.
PEER_S = 3.0
PLACE = "TF_CONFIG"


@dataclass(frozen=True)
class Rank:
    """One of the processes that train a model together.

    Attributes:
        index: from 0. Rank 0 alone writes.
        total: how many there are.
        first_address: host and port of rank 0.
    """

    index: int
    total: int
    first_address: str

    @property
    def leads(self) -> bool:
        """Whether it writes the result."""
        return self.index == 0


def current_rank() -> Rank | None:
    """The place of this process among ranks; None where it trains alone.

    Raises:
        UsageError: ``TF_CONFIG`` is none.
    """
    text = os.environ.get(PLACE)
    if not text:
        return None
    try:
        config = json.loads(text)
        addresses = config["cluster"]["worker"]
        total, first = len(addresses), str(addresses[0])
        index = int(config["task"]["index"])
        kind = config["task"]["type"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError("describes no workers", where=PLACE, hint="Unset it") from error
    if kind != "worker" or not 0 <= index < total:
        raise UsageError(f"names {kind} {index} of {total} workers", where=PLACE)
    return Rank(index, total, first) if total > 1 else None


def gang(
    work: str,
    common: Message,
    *,
    ranks: int,
    engine: str | None = None,
    reporter: Reporter,
) -> Any:
    """The result of rank 0, once it has worked in step with the others.

    Args:
        work: ``module:function``, called once in each rank; see ``messages.open_work``. What it
            returns is called with ``{"attempt": N}``, from 1: from 2 on it goes on from what rank
            0 has saved.
        ranks: processes.
        engine: address of a Ray cluster; None for processes of this machine.

    Raises:
        AitkError: what a rank raised.
        TrainingError: ranks were lost again and again.
        Interrupted: a signal came. Rank 0 was asked to stop and save, and all have ended.
    """
    attempt = 1
    while True:
        opened = open_engine(engine, workers=ranks)
        lost = _Gang(opened, work, common, ranks, reporter).run(attempt)
        if lost.how is None:
            return lost.result
        if attempt > MAX_RESTARTS:
            raise TrainingError(
                f"a rank was lost {attempt} times, the last time with {lost.how}",
                hint="Memory may not suffice: try a smaller --batch-size",
            )
        reporter.warn(
            f"{lost.rank} was lost ({lost.how}): all ranks start again where rank 0 saved"
        )
        attempt += 1


@dataclass
class _End:
    """How an attempt ended: with a result, or with the loss of a rank."""

    result: Any = None
    rank: str = ""
    how: str | None = None


class _Gang:
    """One attempt."""

    def __init__(self, engine: Engine, work: str, common: Message, ranks: int, reporter: Reporter):
        self._engine, self._work, self._common = engine, work, common
        self._ranks, self._reporter = ranks, reporter

    def run(self, attempt: int) -> _End:
        """Start all ranks and wait for the first, or for the loss of any."""
        workers: list[Any] = []
        interrupted: Sequence[Any] = ()
        try:
            addresses = self._engine.addresses(self._ranks)
            for index in range(self._ranks):
                place = {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
                environment = {PLACE: json.dumps(place)}
                workers.append(
                    self._engine.start(self._work, self._common, environment=environment)
                )
            for worker in workers:
                worker.send({"attempt": attempt})
            return self._wait(workers)
        except BaseException as error:
            if isinstance(error, Interrupted | KeyboardInterrupt):
                interrupted = workers[:1]
            raise
        finally:
            self._engine.close(workers, gently=interrupted)

    def _wait(self, workers: Sequence[Any]) -> _End:
        """Until rank 0 is done. Where a rank is lost, the others fail for no reason of theirs."""
        failure: Message | None = None
        while True:
            # The failure of a rank because another has died may arrive before the death itself.
            received = self._engine.wait(PEER_S if failure else None)
            if not received and failure is not None:
                raise_failure(failure)
            for worker, message in received:
                rank = workers.index(worker)
                if LOST in message:
                    return _End(rank=f"rank {rank}", how=message[LOST])
                if DONE in message:
                    if rank == 0:
                        return _End(result=message[DONE])
                elif FAILED in message or BUG in message:
                    failure = failure or message
                elif rank == 0:
                    pass_on(message, self._reporter)
