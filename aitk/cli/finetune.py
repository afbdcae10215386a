"""``aitk DOMAIN finetune``."""

from __future__ import annotations

from typing import Any

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.stages.options import TrainingOptions


def finetune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TrainingOptions,
    reporter: Reporter,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a model on prepared rows.

    From the start, or with --from from pretrained weights. Keeps the epoch that scores best on the validation rows.

        {finetune}
    """
    from aitk.stages.finetune import finetune

    given: Any = settings
    return finetune(
        data,
        out,
        options=options,
        settings=given,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
