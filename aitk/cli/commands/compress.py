"""``aitk DOMAIN compress``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import Out, Overwrite, Resume, RunFolder, Settings, Without
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import CompressOptions, TrainingOptions


def compress(
    domain: str,
    run: RunFolder,
    out: Out,
    options: CompressOptions,
    training: Annotated[TrainingOptions, Without(("model", "from_"))],
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Make a run smaller and faster, and show what that cost.

    The table compares bytes, score and latency before and after. The result is a run:
    evaluate and predict take it whatever its format. Training options are for --distill and
    for the steps after pruning.

    For example:

        {compress}
    """
    from aitk.stages.compress import compress

    return compress(
        run,
        out,
        domain=domain,
        options=options,
        training=training,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        reporter=reporter,
    )
