"""What ``map_shards`` and ``gang`` need of an engine: local processes, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aitk.core.distributed.local import LocalEngine
from aitk.core.distributed.messages import Message


class Worker(Protocol):
    """A process that works for this one."""

    def send(self, shard: Any) -> None:
        """Hand over a piece of work."""


class Engine(Protocol):
    """Starts workers and waits for what they say."""

    def start(
        self, work: str, common: Message, *, environment: Mapping[str, str] | None = None
    ) -> Any:
        """Start a worker; see ``messages.open_work``.

        Args:
            environment: variables that it has besides those of this process.
        """

    def wait(self, timeout_s: float | None = None) -> list[tuple[Any, Message]]:
        """What workers say next, each with the worker; ``LOST`` of one that is gone.

        Raises:
            Interrupted: a signal came.
        """

    def stop(self, worker: Any) -> None:
        """End a worker at once."""

    def addresses(self, count: int) -> list[str]:
        """Free ``HOST:PORT``s for the ranks that will be started next, in their order."""

    def close(self, workers: Sequence[Any], *, gently: Sequence[Any] = ()) -> None:
        """End all of them; those of ``gently`` may first stop where nothing is lost."""


def open_engine(address: str | None, *, workers: int) -> Engine:
    """Local processes, or the Ray cluster at an address.

    Args:
        workers: how many will run at a time.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """
    if address is None:
        return LocalEngine(workers)
    from aitk.core.distributed.cluster import RayEngine

    return RayEngine(address)
