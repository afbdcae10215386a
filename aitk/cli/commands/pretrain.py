"""``aitk DOMAIN pretrain``."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.contract.options import as_dict, option
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import RankOptions, TrainingOptions


@dataclass(frozen=True)
class Choice:
    """The objective of pretraining."""

    objective: str | None = option(None, "pretraining objective; by default that of the data")


def pretrain(
    domain: str,
    data: DataFolder,
    out: Out,
    choice: Choice,
    options: TrainingOptions,
    settings: Settings,
    ranks: RankOptions,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a backbone on rows without labels.

    The run is for finetune --from. Data prepared for any task of the domain is suitable: labels
    are not used.

    For example:

        {pretrain}
    """
    import aitk

    return aitk.pretrain(
        data,
        out=out,
        objective=choice.objective,
        settings=settings,
        domain=domain,
        overwrite=overwrite,
        resume=resume,
        progress=reporter,
        **as_dict(options),
        **as_dict(ranks),
    ).outcome
