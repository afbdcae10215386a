"""``finetune``: train a task's model, from scratch or from pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.opening import open_task
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions
from aitk.stages.training.defaults import require_task
from aitk.stages.training.train_run import train_run


def finetune(
    data: Path,
    out: Path,
    *,
    domain: str,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    state: Path | None = None,
    reporter: Reporter,
) -> Outcome:
    """Train on prepared data and write a run. The data determines the task."""
    prepared = load_data(data)
    require_task(prepared, domain, objective=False)
    task = open_task(prepared, load_task)
    return train_run(
        task,
        prepared,
        out,
        options=options,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        state=state,
        reporter=reporter,
    )
