"""The interface of an engine for ``map_shards`` and ``gang``: local processes, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aitk.core.distributed.local import GRACE_S, LocalEngine
from aitk.core.distributed.messages import Message


class Engine(Protocol):
    """Starts workers and receives their messages."""

    def start(
        self, work: str, common: Message, *, environment: Mapping[str, str] | None = None
    ) -> Any:
        """Start a worker; see ``messages.open_work``.

        Args:
            environment: additional environment variables.

        Returns:
            The worker, whose ``send`` takes a shard of work.
        """

    def wait(self, timeout_s: float | None = None) -> list[tuple[Any, Message]]:
        """The next messages, each with its worker; ``LOST`` for a worker that has died.

        Raises:
            Interrupted: a signal was received.
        """

    def stop(self, worker: Any) -> None:
        """Terminate a worker immediately."""

    def addresses(self, count: int) -> list[str]:
        """Free ``HOST:PORT`` addresses for the next ranks, in order."""

    def close(
        self, workers: Sequence[Any], *, gently: Sequence[Any] = (), grace_s: float = GRACE_S
    ) -> None:
        """Terminate all workers; those in ``gently`` may first stop at a safe point."""


def open_engine(address: str | None, *, workers: int) -> Engine:
    """Local processes, or the Ray cluster at an address.

    Args:
        workers: number of concurrent workers.

    Raises:
        UsageError: Ray is not installed, or the cluster is not reachable.
    """
    if address is None:
        return LocalEngine(workers)
    from aitk.core.distributed.cluster import RayEngine

    return RayEngine(address)
