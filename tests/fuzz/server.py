"""Runs commands, each in a forked process with bounds, and reports how it ended.

A fork of a process that has imported everything starts in milliseconds, its memory is measured
by itself, and a crash ends nothing else. Requests and answers are lines of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

#: What readers import late.
_MODULES = (
    "aitk.cli.main",
    "aitk.cli.commands.prepare",
    "aitk.cli.commands.predict",
    "aitk.stages.prepare",
    "aitk.stages.predict",
    "aitk.nlp.tasks.classify",
    "aitk.nlp.tasks.generate",
    "aitk.nlp.tasks.masked_lm",
    "aitk.recsys.tasks.recommend",
    "aitk.recsys.tasks.rate",
    "aitk.speech.tasks.keywords",
    "aitk.speech.tasks.asr",
    "aitk.vision.tasks.classify",
    "aitk.vision.tasks.detect",
    "aitk.vision.tasks.segment",
    "aitk.vision.tasks.multitask",
    "array_record.python.array_record_module",
    "charset_normalizer",
    "cv2",
    "jinja2",
    "pyarrow.parquet",
    "scipy.signal",
    "soundfile",
    "soxr",
    "tensorflow_datasets",
    "yaml",
    "ai_edge_litert.interpreter",
)


def main() -> None:
    """Answer requests until stdin ends."""
    for name in _MODULES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)  # noqa: T201


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command.

    Args:
        request: ``folder`` to run in, ``arguments``, ``temporary`` folder, files ``stdin``,
            ``stdout`` and ``stderr``, and the bounds ``seconds`` and ``bytes``.
    """
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(request)
    watch = os.pidfd_open(child)
    in_time, _, _ = select.select([watch], [], [], request["seconds"])
    os.close(watch)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    try:
        os.killpg(child, signal.SIGKILL)
        left_children = bool(in_time)
    except ProcessLookupError:
        left_children = False
    return {
        "code": os.waitstatus_to_exitcode(status),
        "in_time": bool(in_time),
        "seconds": time.monotonic() - started,
        "bytes": 1024 * usage.ru_maxrss,
        "left_children": left_children,
    }


def _run(request: dict[str, Any]) -> None:
    """Be the command; never returns."""
    from aitk.cli.main import main

    os.setsid()
    os.environ["TMPDIR"] = request["temporary"]
    os.chdir(request["folder"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(request[name], flags, 0o600), number)
    sys.stdin = os.fdopen(0)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace")
    resource.setrlimit(resource.RLIMIT_CPU, (int(request["seconds"]) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (request["bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = 70
    try:
        code = main(request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
