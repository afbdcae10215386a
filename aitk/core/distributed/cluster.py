"""Workers on a Ray cluster (Ray Core alone: tasks, actors and placement groups).

An actor starts the process that a local worker is, on its own node, and hands messages on. So a
rank or a worker is always a fresh Python process, whatever Ray has imported into its own.

aitk must be installed on every node, and paths must lead to the same files on all of them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import UsageError
from aitk.core.distributed.local import GRACE_S, LocalWorker
from aitk.core.distributed.messages import ENDS, LOST, Message
from aitk.core.runtime import interrupts

#: How long to wait for a node with room for a rank.
PLACED_S = 300.0
_POLL_S = 0.5
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class RayEngine:
    """Starts workers as actors of a cluster.

    Args:
        address: ``HOST:PORT`` of its head, or ``auto`` on one of its nodes.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str):
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "needs Ray", where="--engine", hint="pip install 'aitk-toolkit[cluster]'"
            ) from error
        self._ray: Any = ray
        host = address.rpartition(":")[0]
        # Ray takes this machine's own address for a loopback one unless it is given.
        own = {"_node_ip_address": host} if host.startswith("127.") else {}
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"no cluster can be reached ({reason})",
                where=f"--engine {address}",
                hint="Start one with: ray start --head",
            ) from error
        self._actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Relay)
        self._reserved: list[Any] = []
        self._group: Any = None
        self._pending: dict[Any, _Actor] = {}

    def start(
        self, work: str, common: Message, *, environment: Mapping[str, str] | None = None
    ) -> _Actor:
        """Start a worker; see ``messages.open_work``."""
        actor = self._reserved.pop(0) if self._reserved else self._actor.remote()
        worker = _Actor(actor)
        actor.begin.remote(work, common, dict(environment or {}))
        self._pending[actor.receive.remote()] = worker
        return worker

    def wait(self, timeout_s: float | None = None) -> list[tuple[_Actor, Message]]:
        """What workers say next, each with the worker that says it."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=_POLL_S)
            interrupts.check()
            received = [pair for future in ready for pair in self._received(future)]
            if received or (deadline is not None and time.monotonic() > deadline):
                return received

    def stop(self, worker: _Actor) -> None:
        """End a worker."""
        self._pending = {
            future: each for future, each in self._pending.items() if each is not worker
        }
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker.actor)

    def addresses(self, count: int) -> list[str]:
        """Free places for ranks, on different nodes as far as there are some."""
        ray = self._ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._group = placement_group([{"CPU": 1}] * count, strategy="SPREAD")
        try:
            ray.get(self._group.ready(), timeout=PLACED_S)
        except ray.exceptions.GetTimeoutError as error:
            raise UsageError(
                f"the cluster has no room for {count} ranks", where="--ranks", hint="Start nodes"
            ) from error
        self._reserved = [
            self._actor.options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, index)
            ).remote()
            for index in range(count)
        ]
        found: list[str] = ray.get([actor.address.remote() for actor in self._reserved])
        return found

    def close(
        self,
        workers: Sequence[_Actor],
        *,
        gently: Sequence[_Actor] = (),
        grace_s: float = GRACE_S,
    ) -> None:
        """End all of them."""
        for worker in gently:
            worker.actor.ask_to_stop.remote()
        waited, deadline = set(gently), time.monotonic() + grace_s
        while waited and self._pending and time.monotonic() < deadline:
            ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=_POLL_S)
            for worker, message in (pair for future in ready for pair in self._received(future)):
                if any(end in message for end in ENDS):
                    waited.discard(worker)
        for worker in workers:
            self.stop(worker)
        if self._group is not None:
            self._ray.util.remove_placement_group(self._group)
        self._ray.shutdown()

    def _received(self, future: Any) -> list[tuple[_Actor, Message]]:
        """The messages of one answer; the next one is asked for."""
        worker = self._pending.pop(future)
        try:
            messages = self._ray.get(future)
        except self._ray.exceptions.RayError as error:
            return [(worker, {LOST: type(error).__name__})]
        if not any(LOST in message for message in messages):
            self._pending[worker.actor.receive.remote()] = worker
        return [(worker, message) for message in messages]


class _Actor:
    """A worker on some node."""

    def __init__(self, actor: Any):
        self.actor = actor

    def send(self, shard: Any) -> None:
        """Hand over a piece of work."""
        self.actor.send.remote(shard)


class _Relay:
    """Runs on a node: starts the process of a worker and hands on what both sides say."""

    def address(self) -> str:
        """A free place on this node."""
        import socket

        import ray

        host = ray.util.get_node_ip_address()
        with socket.socket() as found:
            found.bind((host, 0))
            return f"{host}:{found.getsockname()[1]}"

    def begin(self, work: str, common: Message, environment: Mapping[str, str]) -> None:
        """Start the process."""
        self._worker = LocalWorker(work, common, environment=environment, cpus=set())

    def send(self, shard: Any) -> None:
        """Hand over a piece of work."""
        self._worker.send(shard)

    def receive(self) -> list[Message]:
        """Its messages within a short time: other calls wait for this one."""
        return self._worker.receive(_POLL_S)

    def ask_to_stop(self) -> None:
        """Let it stop where nothing is lost."""
        self._worker.ask_to_stop()
