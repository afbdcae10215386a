"""Run a command; write its wall seconds, CPU seconds and peak memory (MB) to a file.

    python bench/cost.py FILE COMMAND...

CPU seconds are those of the command and all that it started; the peak is that of the largest
process.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path


def main(file: str, *command: str) -> int:
    began = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss / 1024  # Linux counts kilobytes
    Path(file).write_text(
        f"{wall:.2f} {used.ru_utime + used.ru_stime:.2f} {peak:.0f}\n", encoding="utf-8"
    )
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
