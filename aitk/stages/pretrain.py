"""``pretrain``: train a backbone on rows without labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import load_data
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.registry import TASKS, full_name, load_task, names
from aitk.stages.options import TrainingOptions
from aitk.stages.training.defaults import require_task
from aitk.stages.training.train_run import train_run


def pretrain(
    data: Path,
    out: Path,
    *,
    domain: str,
    objective: str | None,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    state: Path | None = None,
    reporter: Reporter,
) -> Outcome:
    """Train the objective's model and write a run for ``finetune --from``.

    The data may be prepared for the objective, or for any task of the domain; labels are not
    used.

    Args:
        objective: its short name; by default the data's own, or the domain's first.
    """
    prepared = load_data(data)
    name = require_task(prepared, domain, objective=True)
    if objective:
        name = full_name(domain, objective)
    elif not TASKS[name].objective:
        name = names(domain, objective=True)[0]
    return train_run(
        load_task(name),
        prepared,
        out,
        options=options,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        state=state,
        reporter=reporter,
    )
