"""``aitk compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="two or more evaluated runs")]
Split = Annotated[
    str | None,
    typer.Option("--split", help="evaluation to compare; test, or validation if there is none"),
]


def compare(runs: Runs, reporter: Reporter, split: Split = None) -> Outcome:
    """Test whether the difference between runs is significant.

    The runs must have been evaluated on the same rows.

    For example:

        aitk compare runs/messages runs/messages-int8
    """
    import aitk

    return aitk.compare(runs, split=split, progress=reporter)
