"""``aitk join``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aitk.cli.options import OUTPUT, Overwrite, Trust
from aitk.cli.output import Output
from aitk.core.artifacts.targets import is_stdout
from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome

Parts = Annotated[list[Path], typer.Argument(metavar="PART", help="all parts, in any order")]
Joined = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="DIR|FILE",
        help="the result, as written by one process; - for stdout",
        rich_help_panel=OUTPUT,
    ),
]


def join(
    parts: Parts, out: Joined, reporter: Output, overwrite: Overwrite = False, trust: Trust = False
) -> Outcome:
    """Combine the parts that prepare or predict wrote with --part.

    Every part must occur once and come from the same command. The result equals that of one
    process: predictions byte by byte, prepared data in rows, splits, statistics and findings.

    For example:

        aitk join data/messages.*-of-16 --out data/messages
    """
    reporter.is_data = False  # its outcome goes to stderr, as for the stages
    out = "-" if is_stdout(out) else out
    if reporter.as_json and out == "-":
        raise UsageError("both the rows and --json would use stdout", hint="Use --out FILE")
    import aitk

    return aitk.join(
        parts, out=out, overwrite=overwrite, trust=trust, write=reporter.write, progress=reporter
    )
