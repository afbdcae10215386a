"""``aitk DOMAIN tune``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings, Without
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions, TuneOptions


def tune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TuneOptions,
    training: Annotated[TrainingOptions, Without(("private", "epsilon", "delta"))],
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train with several models and settings, and select the best run.

    With --minutes, all models that are trained from scratch are compared, each with its defaults
    first. Starting the same command again adds a process to the search.

    For example:

        {tune}
    """
    import aitk

    return aitk.tune(
        data,
        out=out,
        settings=settings,
        domain=domain,
        overwrite=overwrite,
        resume=resume,
        progress=reporter,
        **as_dict(options),
        **as_dict(training),
    ).outcome
