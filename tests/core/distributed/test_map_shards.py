"""Shards over local processes: each once and in order, even if workers fail."""

import contextlib
import os
import signal
import textwrap
import threading
import time

import pytest

from aitk.core.contract.errors import DataError, Interrupted, TrainingError
from aitk.core.contract.progress import Silent
from aitk.core.distributed.local import LocalEngine, LocalWorker, shares_of_cpus
from aitk.core.distributed.map_shards import WorkerPool, map_shards
from aitk.core.runtime import interrupts

WORK = """
    import os, signal, time
    from pathlib import Path
    from aitk.core.contract.errors import DataError

    def squares(common, *, reporter):
        opened = Path(common["folder"], f"opened-{os.getpid()}")
        opened.touch()

        def work(shard):
            once = Path(common["folder"], f"{shard}.tried")
            if common.get("dies") == shard and not (common.get("once") and once.exists()):
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if common.get("fails") == shard:
                raise DataError("no such number", where=str(shard), hint="Take another")
            if common.get("breaks") == shard:
                return shard / 0
            if common.get("sleeps"):
                time.sleep(60)
            reporter.note("every worker says this")
            reporter.update("squaring", 1, None)
            time.sleep(0.02 * (shard % 2))
            return shard * shard

        return work
"""


class Heard(Silent):
    def __init__(self):
        self.notes, self.warnings, self.done = [], [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def update(self, what, done, total, detail=""):
        self.done.append(done)


@pytest.fixture
def square(tmp_path, monkeypatch):
    """Squares of the first numbers, by other processes."""
    (tmp_path / "squares_of_numbers.py").write_text(textwrap.dedent(WORK))
    monkeypatch.syspath_prepend(tmp_path)

    def square(count, *, workers=2, reporter=None, **common):
        return list(
            map_shards(
                "squares_of_numbers:squares",
                {"folder": str(tmp_path), **common},
                range(count),
                workers=workers,
                what="squaring",
                total=count,
                reporter=reporter or Silent(),
            )
        )

    square.folder = tmp_path
    return square


def test_results_come_in_the_order_of_the_shards(square):
    heard = Heard()
    assert square(9, reporter=heard) == [number**2 for number in range(9)]
    assert heard.notes == ["every worker says this"]
    assert heard.done[-1] == 9
    assert len(list(square.folder.glob("opened-*"))) == 2  # each is opened once


def test_the_workers_of_a_pool_stay_for_the_next_call(square):
    work, common = "squares_of_numbers:squares", {"folder": str(square.folder)}
    with contextlib.closing(WorkerPool(work, common, workers=2)) as pool:
        for _ in range(3):
            assert list(pool.map(range(4), what="squaring", reporter=Silent())) == [0, 1, 4, 9]
    assert len(list(square.folder.glob("opened-*"))) == 2


def test_no_more_workers_start_than_there_are_shards(square):
    assert square(1, workers=5) == [0]
    assert len(list(square.folder.glob("opened-*"))) == 1
    assert square(0) == []


def test_the_shard_of_a_killed_worker_is_done_again(square):
    heard = Heard()
    assert square(6, dies=3, once=True, reporter=heard) == [number**2 for number in range(6)]
    (warning,) = heard.warnings
    assert "SIGKILL" in warning and "shard 4 of 6" in warning


def test_a_lost_worker_need_not_be_replaced(square, monkeypatch):
    """A cluster may have no room for another one."""

    class Full(LocalEngine):
        started = 0

        def start(self, *given, **named):
            self.started += 1
            return super().start(*given, **named) if self.started < 3 else object()

        def stop(self, worker):
            if isinstance(worker, LocalWorker):
                super().stop(worker)

    where = "aitk.core.distributed.map_shards.open_engine"
    monkeypatch.setattr(where, lambda address, *, workers: Full(workers))
    assert square(6, dies=3, once=True) == [number**2 for number in range(6)]


def test_a_shard_that_kills_every_worker_is_given_up(square):
    with pytest.raises(TrainingError, match="shard 2 of 4 was lost 3 times"):
        square(4, dies=1)


def test_what_a_shard_raises_is_raised_here(square):
    with pytest.raises(DataError) as caught:
        square(4, fails=2)
    assert (caught.value.where, caught.value.hint) == ("2", "Take another")


def test_a_bug_brings_its_traceback(square):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        square(4, breaks=2)


def test_an_interruption_ends_the_workers(square):
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with interrupts.listening(), pytest.raises(Interrupted):
        square(4, sleeps=True)
    assert time.monotonic() - started < 8
    for opened in square.folder.glob("opened-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(opened.name.partition("-")[2]), 0)


def test_workers_share_the_processors():
    cpus = os.sched_getaffinity(0)
    (whole,) = shares_of_cpus(1)
    assert whole == cpus
    if len(cpus) > 1:
        first, second = shares_of_cpus(2)
        assert first and second and not first & second and first | second == cpus
    assert all(len(share) == 1 for share in shares_of_cpus(2 * len(cpus)))
