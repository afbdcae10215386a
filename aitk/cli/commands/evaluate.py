"""``aitk DOMAIN evaluate``."""

from __future__ import annotations

from aitk.cli.options import Reading, RunFolder, ScoredPredictOptions, Trust
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import EvaluateOptions


def evaluate(
    domain: str,
    run: RunFolder,
    options: EvaluateOptions,
    reading: Reading,
    predict_options: ScoredPredictOptions,
    reporter: Reporter,
    trust: Trust = False,
) -> Outcome:
    """Evaluate a run on rows it was not trained on, with 95% intervals.

    Adds the result to the run's metrics.json and report.html, and lists its worst errors.
    Reading options apply to a raw file given with --data. Predict options that change the scores
    are recorded with them.

    For example:

        {evaluate}
    """
    from aitk.api.run import Run

    return Run(run, domain=domain, trust=trust).evaluate(
        progress=reporter, **as_dict(options), **reading, **predict_options
    )
