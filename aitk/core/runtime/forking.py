"""Jobs in processes of their own, forked from one that has imported TensorFlow.

A job may crash or keep memory, and neither harms the process that ordered it. The import takes
longer than most jobs and happens once. The server computes nothing, so it has none of the threads
that make forking unsafe.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aitk.core.runtime.child import python_command, python_environment
from aitk.core.runtime.silence import debugging

#: In the folder of a job: what it wrote to stderr.
ERRORS = "stderr.txt"
#: Variables that the server reads while it starts: another value needs another server.
PREFIXES = ("AITK_", "CUDA_", "KERAS_", "OMP_", "PYTHON", "TF_")


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        code: its exit code; negative: the signal that ended it.
        errors: what it wrote to stderr.
    """

    code: int
    errors: str


class ForkServer:
    """Runs the jobs of a module one after the other: ``ForkServer("package.module").run(folder)``.

    The module calls ``serve`` where it is the main program. The server starts with the first job,
    or with ``start``, and ends with this process. It is started again after it was killed, and when
    a variable of ``PREFIXES`` changed.
    """

    def __init__(self, module: str):
        self.module = module
        self._process: subprocess.Popen[str] | None = None
        self._environment: dict[str, str] = {}
        self._one_job = threading.Lock()

    def start(self) -> None:
        """Start the server, unless it runs; it imports while the caller does other work."""
        self._running()

    def run(self, folder: Path) -> Ended:
        """Wait for one job.

        Args:
            folder: what the job gets: an absolute path that holds its input, and then its output.

        Raises:
            KeyboardInterrupt: a signal came; the job has been killed.
        """
        with self._one_job:
            # A server that was killed while it was idle is found out by sending it a job.
            code = self._send(folder) or self._send(folder) or "1"
        with contextlib.suppress(FileNotFoundError):
            errors = (folder / ERRORS).read_text(encoding="utf-8", errors="replace")
            return Ended(int(code), errors)
        return Ended(int(code), "")

    def _send(self, folder: Path) -> str:
        """The exit code of the job; "" where the server has died, which stops it."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        code = ""
        try:
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
            code = process.stdout.readline()
        except BrokenPipeError:
            pass
        except BaseException:
            self.stop()
            raise
        if not code:
            self.stop()
        return code

    def stop(self) -> None:
        """Kill the server and its job."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _running(self) -> subprocess.Popen[str]:
        environment = python_environment()
        relevant = {name: environment[name] for name in environment if name.startswith(PREFIXES)}
        process = self._process
        if process is not None and process.poll() is None and relevant == self._environment:
            return process
        self.stop()
        # A session of its own: the terminal's Ctrl-C reaches this process, which then kills both.
        self._process = subprocess.Popen(
            python_command("-m", self.module),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debugging() else subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._environment = relevant
        atexit.register(self.stop)
        return self._process


def serve(work: Callable[[Path], None]) -> None:
    """The server: fork for every folder named on stdin, and write the job's exit code to stdout."""
    gc.freeze()  # what was imported: each job would search it for garbage, and copy its pages
    stdout = os.dup(1)
    os.dup2(2, 1)  # what libraries print is not an exit code
    for line in sys.stdin:
        job = os.fork()
        if not job:
            _do(work, Path(line.rstrip("\n")))
        _, status = os.waitpid(job, 0)
        os.write(stdout, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _do(work: Callable[[Path], None], folder: Path) -> None:
    """One job, in the forked process."""
    code = 1
    try:
        if not debugging():
            os.dup2(os.open(folder / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        tempfile.tempdir = str(folder)  # the server's may be gone, and this one's ends with the job
        work(folder)
        code = 0
    except SystemExit as error:
        os.write(2, f"{error.code}\n".encode())
    except BaseException:  # noqa: BLE001 - the process ends here, whatever happened
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
