"""``aitk DOMAIN update``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import Inputs, Out, Overwrite, RunFolder, Without
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
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
) -> Outcome:
    """Teach a run new rows without losing the old ones.

    Old rows are replayed among the new. A model that got worse on the held-out rows is not
    written, unless --force says so.

    For example:

        {update}
    """
    from aitk.stages.update import update

    return update(
        run,
        inputs,
        out,
        options=options,
        training=training,
        overwrite=overwrite,
        reporter=reporter,
        domain=domain,
    )
