"""``aitk DOMAIN update``."""

from __future__ import annotations

from typing import Annotated

from aitk.cli.options import OptionalInputs, OptionalOut, Overwrite, Resume, RunFolder, Without
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions, UpdateOptions


def update(
    domain: str,
    run: RunFolder,
    options: UpdateOptions,
    training: Annotated[
        TrainingOptions, Without(("model", "from_", "private", "epsilon", "delta"))
    ],
    reporter: Reporter,
    inputs: OptionalInputs = None,
    out: OptionalOut = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> Outcome:
    """Train a run on new rows without losing the old ones.

    Old rows are replayed among the new ones. A model with a worse held-out score is not written,
    except with --force. With --without-labels the model adapts to new rows without labels, such as
    the recordings of a new speaker.

    With --keep-if-better, --out is a folder of versions: OUT/current is the best so far, and
    --rollback returns to its parent. With --follow, rows are learned as a file grows.

    For example:

        {update}
    """
    import aitk

    return aitk.update(
        run,
        inputs or [],
        out=out,
        domain=domain,
        overwrite=overwrite,
        resume=resume,
        progress=reporter,
        **as_dict(options),
        **as_dict(training),
    ).outcome
