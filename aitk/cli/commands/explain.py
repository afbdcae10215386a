"""``aitk DOMAIN explain``."""

from __future__ import annotations

from aitk.cli.options import Inputs, Located, Out, Overwrite, RunFolder, Trust
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import ExplainOptions


def explain(
    domain: str,
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    options: ExplainOptions,
    located: Located,
    reporter: Reporter,
    overwrite: Overwrite = False,
    trust: Trust = False,
) -> Outcome:
    """Show the contribution of each part of a row to its prediction.

    Writes JSONL and a page that opens offline.

    For example:

        {explain}
    """
    from aitk.api.run import Run

    return Run(run, domain=domain, trust=trust).explain_to(
        inputs, out=out, overwrite=overwrite, progress=reporter, **as_dict(options), **located
    )
