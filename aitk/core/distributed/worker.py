"""The main program of a local worker: ``python -m aitk.core.distributed.worker DESCRIPTOR``.

Messages arrive on standard input and are sent to the descriptor, one per line. The process ends
with its standard input, and so with its driver, however that ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from aitk.core.distributed.messages import DONE, READY, Message, as_message, open_work
from aitk.core.runtime import interrupts


def main(descriptor: int) -> None:
    """Work until the driver closes standard input."""
    # Ctrl-C reaches every process of a terminal; the driver controls the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()
    lock = threading.Lock()

    def send(message: Message) -> None:
        text = json.dumps(message, default=_plain).encode() + b"\n"
        with lock:
            left = memoryview(text)
            while left:
                left = left[os.write(descriptor, left) :]

    _quiet()
    request = waiting.get()
    send({READY: True})
    work = None
    while True:
        shard = waiting.get()["shard"]
        try:
            with interrupts.listening():
                if work is None:
                    work = open_work(request["work"], request["common"], send)
                send({DONE: work(shard)})
        except BaseException as error:  # noqa: BLE001  the driver raises it again
            send(as_message(error))


def _listen(waiting: queue.SimpleQueue[Message]) -> None:
    """Queue the driver's messages; end the process when the driver ends."""
    for line in sys.stdin.buffer:
        waiting.put(json.loads(line))
    os._exit(0)


def _quiet() -> None:
    from aitk.core.runtime.silence import silence
    from aitk.core.runtime.speed import tune_process

    silence()
    tune_process()


def _plain(value: Any) -> Any:
    """JSON for NumPy values and paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    main(int(sys.argv[1]))
