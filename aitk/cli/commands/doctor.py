"""``aitk doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

Benchmark = Annotated[
    bool,
    typer.Option(
        "--benchmark",
        help="measure it too (10 s): matrices, disk, decoding, and what each stage would cost",
    ),
]


def doctor(reporter: Reporter, benchmark: Benchmark = False) -> Outcome:
    """Show versions, devices and missing packages, with install commands.

    For example:

        aitk doctor
    """
    from aitk.stages.tools.doctor import doctor

    return doctor(benchmark=benchmark, reporter=reporter)
