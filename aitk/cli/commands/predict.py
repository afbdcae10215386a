"""``aitk DOMAIN predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from aitk.cli.options import (
    Located,
    OptionalInputs,
    Overwrite,
    RunFolder,
    TaskPredictOptions,
    Trust,
)
from aitk.cli.output import Output
from aitk.core.artifacts.targets import is_stdout
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.stages.options import ParallelOptions, PredictOptions

Rows = Annotated[
    str, typer.Option("--out", metavar="FILE", help="a .jsonl or .csv file, or - for stdout")
]


def predict(
    domain: str,
    run: RunFolder,
    options: PredictOptions,
    predict_options: TaskPredictOptions,
    located: Located,
    parallel: ParallelOptions,
    reporter: Output,
    inputs: OptionalInputs = None,
    out: Rows = "-",
    overwrite: Overwrite = False,
    trust: Trust = False,
) -> Outcome:
    """Write a prediction for every row of your files, in order.

    The output has one JSON object per line, or CSV. An unreadable row becomes {{"line": 17,
    "error": "..."}}. Memory does not depend on the size of the input. Rows are read like the
    training data, unless an option specifies a difference.

    For example:

        {predict}
    """
    out = "-" if is_stdout(out) else out
    if reporter.as_json and out == "-":
        raise UsageError("both the rows and --json would use stdout", hint="Use --out FILE")
    from aitk.api.run import Run

    return Run(run, domain=domain, trust=trust).predict_to(
        inputs or [],
        out=out,
        overwrite=overwrite,
        write=reporter.write,
        progress=reporter,
        **as_dict(options),
        **as_dict(parallel),
        **predict_options,
        **located,
    )
