"""Further processes on this machine that work on a study: ``tune --workers``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.contract.options import as_dict
from aitk.core.contract.task import Note
from aitk.core.io.files import write_json

CALL, MODULE = "call.json", "aitk.stages.tuning.worker"
#: Each process uses its share of the cores.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_END_S = 120  # timeout for saving the state of a trial


class Workers(contextlib.AbstractContextManager["Workers"]):
    """Processes that train trials while the block runs; on failure they save their trials.

    Output of worker N goes to ``worker-N.log`` in the folder of the study.

    Args:
        call: the arguments of ``tune.open_search``.
        count: number of processes.
        warn: receives messages on failed processes.
    """

    def __init__(self, folder: Path, call: Mapping[str, Any], *, count: int, warn: Note):
        self.folder, self.call, self.count, self.warn = folder, call, count, warn
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        if self.count <= 0:
            return self
        path = self.folder / CALL
        options = {name: as_dict(self.call[name]) for name in ("options", "training")}
        write_json(path, dict(self.call) | options)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        threads = str(max(1, (cores or 1) // (self.count + 1)))
        environment = dict.fromkeys(_THREADS, threads) | dict(os.environ)
        for number in range(1, self.count + 1):
            with self._log(number).open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", MODULE, str(path)],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                        start_new_session=True,
                    )
                )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for process in self._processes:
            if kind is not None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(timeout=None if kind is None else _END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for number, process in enumerate(self._processes, 1):
            if process.returncode and kind is None:
                text = self._log(number).read_text(encoding="utf-8", errors="replace")
                last = next((line for line in reversed(text.split("\n")) if line.strip()), "")
                self.warn(f"process {number} ended with {process.returncode}: {last.strip()}")

    def _log(self, number: int) -> Path:
        return self.folder / f"worker-{number}.log"
