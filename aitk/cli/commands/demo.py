"""``aitk demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.cli.options import Overwrite
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="the folder to write")]


Every = Annotated[bool, typer.Option("--all", help="every task, not one per domain")]


def demo(
    reporter: Reporter,
    out: Out = Path("demo"),
    every_task: Every = False,
    overwrite: Overwrite = False,
) -> Outcome:
    """Run one chain of commands per domain on the sample rows.

    For example:

        aitk demo --out demo
    """
    from aitk.stages.tools.demo import demo

    return demo(out, every_task=every_task, overwrite=overwrite, reporter=reporter)
