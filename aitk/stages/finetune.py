"""``finetune``: train a task's model, from scratch or from pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.data import load_data
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.stages.options import TrainingOptions
from aitk.stages.train_run import require_task, train_run
from aitk.tasks import load_task


def finetune(
    data: Path,
    out: Path,
    *,
    domain: str,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Train on prepared data and write a run. Its task is the data's."""
    prepared = load_data(data)
    task = load_task(require_task(prepared, domain, objective=False))
    return train_run(
        task,
        prepared,
        out,
        options=options,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
