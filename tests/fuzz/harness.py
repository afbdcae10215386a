"""Runs attempts, and describes faults in how a command ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile import OUT, Attempt

SECONDS = 30.0
#: Of memory that is used, and of addresses, which libraries reserve freely.
USED_BYTES, ADDRESSED_BYTES = 1_500_000_000, 12_000_000_000
#: Done, usage, bad data, a damaged artifact, rows refused, a budget missed.
_ENDS = (0, 2, 3, 4, 6, 7)
_DONE = (0, 6, 7)
_MOST_ERROR_CHARACTERS = 4000


class Harness:
    """Runs attempts one after the other, and counts how they ended.

    Attributes:
        ends: by command and exit code.
    """

    def __init__(self, root: Path):
        self.ends: Counter[tuple[str, int]] = Counter()
        self._root = root
        self._server = self._start()

    def faults(self, attempt: Attempt) -> list[str]:
        """The faults in how an attempt ended; empty if there are none."""
        with tempfile.TemporaryDirectory(dir=self._root) as name:
            base = Path(name)
            folder, temporary = base / "work", base / "tmp"
            folder.mkdir(), temporary.mkdir()
            write_files(attempt, folder)
            (base / "stdin").write_bytes(attempt.stdin)
            ended = self._ask({
                "folder": str(folder),
                "temporary": str(temporary),
                "arguments": list(attempt.arguments),
                "seconds": SECONDS,
                "bytes": ADDRESSED_BYTES,
                **{stream: str(base / stream) for stream in ("stdin", "stdout", "stderr")},
            })  # fmt: skip
            self.ends[attempt.command, ended["code"]] += 1
            result = (base / "stderr").read_bytes(), (base / "stdout").read_bytes()
            left = {os.fsencode(path.name) for path in folder.iterdir()}
            left -= {path.split(b"/")[0] for path in attempt.files}
            found = [*_faults_of_end(ended, *result, attempt)]
            found += _faults_of_files(ended["code"], left, folder, attempt)
            found += [f"left in TMPDIR: {path.name}" for path in temporary.iterdir()]
            return found

    def close(self) -> None:
        """End the server."""
        self._server.communicate()

    def summary(self) -> str:
        """A line for each command: how many attempts, and how they ended."""
        lines = [f"{sum(self.ends.values()):,} attempts"]
        for command in sorted({command for command, _ in self.ends}):
            codes = sorted((code, n) for (name, code), n in self.ends.items() if name == command)
            lines.append(f"  {command}: " + ", ".join(f"exit {code}: {n:,}" for code, n in codes))
        return "\n".join(lines)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        server = self._server
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())


def write_files(attempt: Attempt, folder: Path) -> None:
    """Put the files of an attempt into a folder."""
    for name, content in attempt.files.items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def save(attempt: Attempt, faults: list[str], folder: Path) -> None:
    """Store an attempt for inspection: its files, its command, its faults."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_files(attempt, folder)
    (folder / "STDIN").write_bytes(attempt.stdin)
    text = f"{json.dumps(['aitk', *attempt.arguments])}\n" + "".join(f"{f}\n" for f in faults)
    (folder / "FAULTS").write_text(text, errors="backslashreplace")


def kind_of(fault: str) -> str:
    """A fault without what differs from attempt to attempt."""
    return re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "_", fault)[:160]


def _faults_of_end(
    ended: dict[str, Any], err: bytes, out: bytes, attempt: Attempt
) -> Iterator[str]:
    code, text = ended["code"], err.decode("utf-8", "backslashreplace")
    last = next(iter(text.strip().splitlines()[-1:]), "")
    if not ended["in_time"]:
        yield f"took more than {SECONDS:.0f} s"
        return
    if code not in _ENDS:
        yield f"exit code {code}: {last}"
    if ended["bytes"] > USED_BYTES:
        yield f"used {ended['bytes'] / 1e6:.0f} MB"
    if ended["left_children"]:
        yield "left a child process behind"
    if "Traceback" in text or "Exception ignored" in text:
        yield f"a traceback: {last}"
    if code not in (0, *_DONE) and code in _ENDS and not last.startswith("aitk: "):
        yield f"exit code {code} without a reason: {last!r}"
    if len(text) > _MOST_ERROR_CHARACTERS and "--quiet" in attempt.arguments:
        yield f"{len(text):,} characters on stderr"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        yield f"control characters on stderr: {last!r}"
    yield from _faults_of_stdout(out, attempt)


def _faults_of_stdout(out: bytes, attempt: Attempt) -> Iterator[str]:
    as_json = "--json" in attempt.arguments
    is_data = "-" in attempt.arguments[4:]
    try:
        lines = _lines(out)
        if as_json or is_data:
            for line in lines:
                _strict_json(line)
        elif lines:
            yield f"stdout: {lines[0][:80]!r}"
        if as_json and not is_data and len(lines) != 1:
            yield f"{len(lines)} lines on stdout with --json"
    except ValueError as error:
        yield f"stdout is no JSON: {error}"


def _faults_of_files(code: int, left: set[bytes], folder: Path, attempt: Attempt) -> Iterator[str]:
    written = {OUT} if "prepare" in attempt.arguments else {"out.jsonl", "out.csv"}
    others = left - {name.encode() for name in written}
    if others and code != 3:  # a prediction that stops at bad data can be resumed
        yield f"left behind: {others!r}"
    if "prepare" not in attempt.arguments:
        return
    if (OUT.encode() in left) != (code in _DONE):
        yield f"exit code {code}, and --out is {'there' if OUT.encode() in left else 'not there'}"
        return
    if code not in _DONE:
        return
    try:
        _strict_json((folder / OUT / "dataset.json").read_bytes().decode())
        for line in _lines((folder / OUT / "rejects.jsonl").read_bytes()):
            _strict_json(line)
        (folder / OUT / "report.html").read_bytes().decode()
    except (OSError, ValueError) as error:
        yield f"prepared data do not read back: {error}"


def _lines(content: bytes) -> list[str]:
    """Lines as JSON lines has them: a text may hold what else Python takes for a line end."""
    return content.decode().split("\n")[:-1]


def _strict_json(text: str) -> None:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    value = json.loads(text, parse_constant=refuse)
    with contextlib.suppress(RecursionError):
        json.dumps(value, ensure_ascii=False).encode()
