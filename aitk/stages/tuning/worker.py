"""One process of ``tune --workers``: ``python -m aitk.stages.tuning.worker CALL.json``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from aitk.core.contract.errors import Interrupted
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.io.json_files import read_json
from aitk.core.runtime import interrupts
from aitk.core.runtime.silence import silence
from aitk.core.runtime.speed import prefer_onednn
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.tuning.search import open_search

_LOOK_S = 1.0


def main(path: Path) -> None:
    """Train trials until none is left, or the parent process has ended."""
    silence()
    prefer_onednn()
    call = read_json(path)
    with interrupts.listening(), contextlib.suppress(Interrupted):
        threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
        open_search(
            Path(call["data"]),
            domain=call["domain"],
            options=resolve(TuneOptions, call["options"]),
            training=resolve(TrainingOptions, call["training"]),
            settings=call["settings"],
            trials=Path(call["trials"]),
            reporter=Silent(),
        ).work()


def _follow_parent(parent: int) -> None:
    """Stop this process, with its trial saved, when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
