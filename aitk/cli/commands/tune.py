"""``aitk DOMAIN tune``."""

from __future__ import annotations

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions, TuneOptions


def tune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TuneOptions,
    training: TrainingOptions,
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train with several settings and keep the best run.

    For example:

        {tune}
    """
    from aitk.stages.tune import tune

    return tune(
        data,
        out,
        domain=domain,
        options=options,
        training=training,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
