"""Draws the README's pictures from a real run: ``python docs/pictures/make.py``.

``terminal.svg`` is what a terminal shows of ``finetune``, ``report.png`` the top of its report
in a headless Chromium.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "sample_data"
COLUMNS = 88


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        _run(["prepare", str(SAMPLES / "messages.csv"), "--task", "classify"], "data/messages")
        draw_terminal("data/messages", "runs/messages")
        _run(["evaluate", "runs/messages"])
        photograph(Path("runs/messages/report.html"))


def _run(arguments: list[str], out: str | None = None) -> None:
    more = ["--label-column", "intent", "--out", out] if out else []
    command = [sys.executable, "-m", "aitk", "nlp", *arguments, *more, "--quiet"]
    subprocess.run(command, check=True)


def draw_terminal(data: str, run: str) -> None:
    """Run ``finetune`` on a terminal and keep what stays on it."""
    shown = f"aitk nlp finetune {data} --out {run}"
    screen: list[bytes] = []

    def read(terminal: int) -> bytes:
        screen.append(os.read(terminal, 65536))
        return screen[-1]  # the person who draws sees it as well

    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    pty.spawn([sys.executable, "-m", *shown.split()], read)
    lines = _settled(b"".join(screen).decode())
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text(f"$ {shown}", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line))
    console.save_svg(str(HERE / "terminal.svg"), title="aitk")


def _settled(output: str) -> list[str]:
    """The lines that stay: what was drawn in place and cleared again is left out."""
    lines: list[str] = []
    for part in re.split(r"(\r?\n|\r|\x1b\[1A|\x1b\[2K)", output):
        if part in ("\n", "\r\n"):
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part == "\x1b[2K":
            lines[-1:] = [""]
        elif part != "\r":
            text = re.sub(r"\x1b\[\?25[hl]", "", part)
            lines[-1:] = [(lines[-1] if lines else "") + text]
    return [line for line in lines if line.strip()]


def photograph(report: Path) -> None:
    """Photograph the top of a report."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("report.png needs Chromium")
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=900,1100"),
            f"--screenshot={HERE / 'report.png'}",
            report.resolve().as_uri(),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
