"""``aitk DOMAIN finetune``."""

from __future__ import annotations

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions


def finetune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TrainingOptions,
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a model on prepared rows.

    From the start, or with --from from pretrained weights. Keeps the epoch that scores best
    on the validation rows.

    For example:

        {finetune}
    """
    from aitk.stages.finetune import finetune

    return finetune(
        data,
        out,
        domain=domain,
        options=options,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
