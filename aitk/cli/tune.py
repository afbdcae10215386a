"""``aitk DOMAIN tune``."""

from __future__ import annotations

from typing import Any

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.stages.options import TrainingOptions, TuneOptions


def tune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TuneOptions,
    training: TrainingOptions,
    reporter: Reporter,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train with several settings and keep the best run.

        {tune}
    """
    from aitk.stages.tune import tune

    given: Any = settings
    return tune(
        data,
        out,
        options=options,
        training=training,
        settings=given,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
