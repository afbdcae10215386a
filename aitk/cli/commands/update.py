"""``aitk DOMAIN update``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import Inputs, Out, Overwrite, Resume, RunFolder, Without
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions, UpdateOptions


def update(
    domain: str,
    run: RunFolder,
    inputs: Inputs,
    out: Out,
    options: UpdateOptions,
    training: Annotated[TrainingOptions, Without(("model", "from_"))],
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a run on new rows without losing the old ones.

    Old rows are replayed among the new. A model that got worse on the held-out rows is not
    written, unless --force says so. With --without-labels the model adapts to new rows without
    labels, such as the recordings of a new speaker.

    For example:

        {update}
    """
    if options.without_labels:
        from aitk.stages.adapt import adapt as stage
    else:
        from aitk.stages.update import update as stage
    return stage(
        run,
        inputs,
        out,
        options=options,
        training=training,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
        domain=domain,
    )
