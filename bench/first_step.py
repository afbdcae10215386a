"""Seconds from the start of the process to the end of the first training step.

    python bench/first_step.py DATA

DATA is prepared data; the model is the task's first. The training is broken off then.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

STARTED = time.monotonic()


def main(data: str) -> None:
    import aitk

    def progress(event: aitk.Progress) -> None:
        if event.kind == "step" and event.text.startswith("epoch"):
            print(f"{time.monotonic() - STARTED:.1f} s", flush=True)
            os._exit(0)  # nothing of the run is wanted

    with tempfile.TemporaryDirectory() as folder:
        aitk.finetune(data, out=f"{folder}/run", epochs=1, progress=progress)


if __name__ == "__main__":
    main(sys.argv[1])
