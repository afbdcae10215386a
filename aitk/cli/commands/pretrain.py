"""``aitk DOMAIN pretrain``."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.contract.options import as_dict, option
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions


@dataclass(frozen=True)
class Choice:
    """What is learned from rows without labels."""

    objective: str | None = option(
        None, "what to learn from unlabelled rows; by default what the data is for"
    )


def pretrain(
    domain: str,
    data: DataFolder,
    out: Out,
    choice: Choice,
    options: TrainingOptions,
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a backbone on rows without labels.

    The run is for finetune --from. Data prepared for any task of the domain will do: its labels
    are not looked at.

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
    ).outcome
