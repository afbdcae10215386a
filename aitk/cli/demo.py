"""``aitk demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.cli.options import Overwrite
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="the folder to write")]


def demo(reporter: Reporter, out: Out = Path("demo"), overwrite: Overwrite = False) -> Outcome:
    """Run the whole chain of every task on its sample rows.

    For example:

        aitk demo --out demo
    """
    from aitk.stages.demo import demo

    return demo(out, overwrite=overwrite, reporter=reporter)
