"""Workers as local processes, each with its own share of the processors."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aitk.core.distributed.messages import ENDS, LOST, Message
from aitk.core.runtime import interrupts
from aitk.core.runtime.child import python_command, python_environment

#: Seconds for a worker to end on request, before it is killed.
GRACE_S = 10.0
_PRINTED_BYTES = 2000  # of standard error, after a worker has died


class LocalWorker:
    """A local worker process."""

    def __init__(
        self, work: str, common: Message, *, environment: Mapping[str, str], cpus: set[int]
    ):
        reading, writing = os.pipe()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  read when the worker has died
        self._process = subprocess.Popen(
            python_command("-m", "aitk.core.distributed.worker", str(writing)),
            stdin=subprocess.PIPE,
            stdout=self._printed,
            stderr=self._printed,
            pass_fds=[writing],
            env=python_environment() | dict(environment),
            start_new_session=True,  # the terminal's Ctrl-C is for the driver
        )
        os.close(writing)
        if cpus:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self._process.pid, cpus)
        self.descriptor = reading
        self._left = b""
        self._tell({"work": work, "common": common})

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, shard: Any) -> None:
        """Send a shard of work."""
        self._tell({"shard": shard})

    def receive(self, timeout_s: float | None = None) -> list[Message]:
        """New messages of the worker; ``LOST`` if it has died. Waits until there are some.

        Args:
            timeout_s: how long it waits at most.
        """
        if timeout_s is not None and not select.select([self.descriptor], [], [], timeout_s)[0]:
            return []
        content = os.read(self.descriptor, 1 << 16)
        if not content:
            return [{LOST: self._last_words()}]
        *lines, self._left = (self._left + content).split(b"\n")
        return [json.loads(line) for line in lines]

    def ask_to_stop(self) -> None:
        """Ask the worker to stop at a safe point."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Terminate the worker immediately, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._printed):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _tell(self, message: Message) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # ``receive`` will report that it is gone
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _last_words(self) -> str:
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _PRINTED_BYTES))
        printed = self._printed.read().decode("utf-8", errors="replace").strip()
        return f"{how}: {printed.splitlines()[-1]}" if printed else how


class LocalEngine:
    """Starts local workers and receives their messages.

    Args:
        workers: number of concurrent workers, with equal shares of the processors.
    """

    def __init__(self, workers: int):
        self._shares = shares_of_cpus(workers)
        self._used: dict[LocalWorker, int] = {}  # the share of each worker
        self._selector = selectors.DefaultSelector()

    def start(
        self, work: str, common: Message, *, environment: Mapping[str, str] | None = None
    ) -> LocalWorker:
        """Start a worker; see ``messages.open_work``."""
        used = Counter(self._used.values())
        share = min(range(len(self._shares)), key=lambda index: used[index])
        worker = LocalWorker(work, common, environment=environment or {}, cpus=self._shares[share])
        self._used[worker] = share
        self._selector.register(worker.descriptor, selectors.EVENT_READ, worker)
        return worker

    def wait(self, timeout_s: float | None = None) -> list[tuple[LocalWorker, Message]]:
        """The next messages, each with its worker."""
        with interrupts.waiting():
            ready = self._selector.select(timeout_s)
        return [(key.data, message) for key, _ in ready for message in key.data.receive()]

    def stop(self, worker: LocalWorker) -> None:
        """Terminate a worker."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.descriptor)
        self._used.pop(worker, None)
        worker.stop()

    def addresses(self, count: int) -> list[str]:
        """Free local addresses for ranks."""
        sockets = [socket.socket() for _ in range(count)]
        try:
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        finally:
            for each in sockets:
                each.close()

    def close(
        self,
        workers: Sequence[LocalWorker],
        *,
        gently: Sequence[LocalWorker] = (),
        grace_s: float = GRACE_S,
    ) -> None:
        """Terminate all workers.

        Args:
            gently: workers that may first stop at a safe point.
            grace_s: time for that.
        """
        for worker in gently:
            worker.ask_to_stop()
        deadline = time.monotonic() + grace_s
        waited = set(gently)
        while waited and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if any(end in message for message in key.data.receive() for end in ENDS):
                    waited.discard(key.data)
                    self._selector.unregister(key.data.descriptor)
        for worker in workers:
            self.stop(worker)
        self._selector.close()


def shares_of_cpus(workers: int) -> list[set[int]]:
    """The processors of each worker; empty sets if the system cannot bind processes to them."""
    if not hasattr(os, "sched_getaffinity"):
        return [set()]
    cpus = sorted(os.sched_getaffinity(0))
    if workers > len(cpus):
        return [{cpu} for cpu in cpus]
    return [set(cpus[at::workers]) for at in range(workers)]
