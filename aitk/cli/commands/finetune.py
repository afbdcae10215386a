"""``aitk DOMAIN finetune``."""

from __future__ import annotations

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import RankOptions, TrainingOptions


def finetune(
    domain: str,
    data: DataFolder,
    out: Out,
    options: TrainingOptions,
    settings: Settings,
    ranks: RankOptions,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a model on prepared rows.

    Training starts from random weights, or from pretrained ones with --from. The epoch with the
    best validation score is saved.

    For example:

        {finetune}
    """
    import aitk

    return aitk.finetune(
        data,
        out=out,
        settings=settings,
        domain=domain,
        overwrite=overwrite,
        resume=resume,
        progress=reporter,
        **as_dict(options),
        **as_dict(ranks),
    ).outcome
