"""``aitk DOMAIN pretrain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aitk import tasks
from aitk.cli.options import DataFolder, Out, Overwrite, Resume, Settings
from aitk.core.errors import UsageError
from aitk.core.options import option
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.stages.options import TrainingOptions


@dataclass(frozen=True)
class Choice:
    """What is learned from rows without labels."""

    objective: str | None = option(
        None, "what to learn from unlabelled rows; by default the domain's first"
    )


def pretrain(
    domain: str,
    data: DataFolder,
    out: Out,
    choice: Choice,
    options: TrainingOptions,
    reporter: Reporter,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a backbone on rows without labels, for finetune --from.

        {pretrain}
    """
    from aitk.stages.pretrain import pretrain

    objectives = tasks.names(domain, objective=True)
    if not objectives:
        raise UsageError(f"{domain} has no pretraining objective")
    objective = tasks.full_name(domain, choice.objective) if choice.objective else objectives[0]
    given: Any = settings
    return pretrain(
        data,
        out,
        objective=objective,
        options=options,
        settings=given,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
