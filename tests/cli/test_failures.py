"""Each way to end early, with its line and its exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from aitk.cli.failures import as_failure
from aitk.core.contract.errors import DataError

FULL = OSError(errno.ENOSPC, "No space left on device", "run/model.keras")


class ResourceExhaustedError(Exception):
    """Named as TensorFlow names it."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.EFBIG, "File too large"), 2, "a file has reached the largest size"),
        (OSError("Can't write (file write failed: errno = 27, 'File too large')"), 2, "ulimit -f"),
        (OSError(errno.EROFS, "x", "run"), 2, "run: read-only file system"),
        (FileNotFoundError(errno.ENOENT, "x", "run.part/a"), 2, "run.part/a: no such file"),
        (OSError(errno.EBADF, "Bad file descriptor"), 1, "a bug in aitk"),
        (DataError("no rows", where="a.csv:3", hint="Add some"), 3, "a.csv:3: no rows. Add some"),
        (FULL, 2, "run/model.keras: the disk is full"),
        (RuntimeError("write: No space left on device"), 2, "the disk is full"),
        (PermissionError(errno.EACCES, "denied", "x"), 2, "x: permission denied"),
        (MemoryError(), 5, "out of memory. Try a smaller --batch-size"),
        (ResourceExhaustedError("OOM when allocating"), 5, "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 130, "the reader of stdout has closed it"),
        (ZeroDivisionError("division by zero"), 1, "a bug in aitk: ZeroDivisionError"),
    ],
)
def test_one_line_and_an_exit_code(error: BaseException, code: int, words: str) -> None:
    failure = as_failure(error)
    assert failure.exit_code == code
    assert words in failure.line
    assert "\n" not in failure.line


def test_a_bug_is_one_line_and_a_traceback_in_debug_mode(aitk, monkeypatch) -> None:
    def broken(*more, **given):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("aitk.stages.finetune.finetune", broken)
    monkeypatch.delenv("AITK_DEBUG", raising=False)
    result = aitk("nlp", "finetune", "data", "--out", "run")
    assert result.code == 1
    assert len(result.lines) == 1
    assert "aitk/api/training.py:" in result.err
    monkeypatch.setenv("AITK_DEBUG", "1")
    assert "Traceback" in aitk("nlp", "finetune", "data", "--out", "run").err


def test_ctrl_c_shows_how_to_resume(aitk, monkeypatch) -> None:
    def interrupted(*more, **given):
        raise KeyboardInterrupt

    monkeypatch.setattr("aitk.stages.finetune.finetune", interrupted)
    result = aitk("nlp", "finetune", "data", "--out", "run")
    assert result.code == 130
    assert "--resume" in result.err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_running_command_with_130(kind: signal.Signals) -> None:
    program = (
        "import sys, time; import aitk.stages.finetune as stage; from aitk.cli.main import main\n"
        "from aitk.core.runtime import interrupts\n"
        "def finetune(*more, **given):\n    print('ready', flush=True)\n"
        "    while True:\n        time.sleep(0.01)\n        interrupts.check()\n"
        "stage.finetune = finetune\n"
        "sys.exit(main(['nlp', 'finetune', 'data', '--out', 'run']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"AITK_DEBUG": ""},
        # A background job starts deaf to SIGINT, one under nohup to SIGHUP; children inherit it.
        preexec_fn=lambda: signal.signal(kind, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(kind)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.startswith("aitk: interrupted.")
    assert len(err.splitlines()) == 1
