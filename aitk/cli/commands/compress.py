"""``aitk DOMAIN compress``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import Out, Overwrite, Resume, RunFolder, Settings, Without
from aitk.core.contract.options import as_dict
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
    import aitk

    return aitk.compress(
        run,
        out=out,
        settings=settings,
        domain=domain,
        overwrite=overwrite,
        resume=resume,
        progress=reporter,
        **as_dict(options),
        **as_dict(training),
    ).outcome
