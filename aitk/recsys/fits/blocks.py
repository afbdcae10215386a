"""Work cut into blocks of rows, done on all processors.

NumPy and SciPy let other threads run while they compute, so threads are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from aitk.core.runtime import interrupts
from aitk.core.runtime.environment import usable_cpus

Result = TypeVar("Result")


def map_blocks(work: Callable[[slice], Result], rows: int, *, size: int) -> list[Result]:
    """Call ``work`` for each block of at most ``size`` rows; its results in order.

    Raises:
        Interrupted: between two blocks, where a signal asked to stop.
    """
    from threadpoolctl import threadpool_limits

    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    if len(blocks) < 2 or usable_cpus() == 1:
        return _collected(map(work, blocks))
    # Threads inside of threads wait for each other: ALS took three times as long.
    with threadpool_limits(1, user_api="blas"), ThreadPool(usable_cpus()) as pool:
        return _collected(pool.imap(work, blocks))


def _collected(results: Iterable[Result]) -> list[Result]:
    collected = []
    for result in results:
        collected.append(result)
        interrupts.check()
    return collected
