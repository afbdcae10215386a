"""``aitk DOMAIN compress``."""

from __future__ import annotations

from typing import Annotated

import typer

from aitk.cli.options import OUTPUT, Out, Overwrite, Resume, RunFolder, Settings, Without
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import CompressOptions, TrainingOptions

Bundle = Annotated[
    bool,
    typer.Option(
        "--bundle",
        help="write a folder for a small device: model and script, which need no aitk",
        rich_help_panel=OUTPUT,
    ),
]


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
    bundle: Bundle = False,
) -> Outcome:
    """Make a run smaller and faster, and show what that cost.

    The table compares bytes, score and latency before and after. The result is a run:
    evaluate and predict take it whatever its format; with --bundle it is a folder that
    predicts with NumPy and LiteRT (or ONNX Runtime) alone. Training options are for --distill and
    for the steps after pruning.

    For example:

        {compress}
    """
    import aitk

    if bundle:
        if resume:
            raise UsageError("a bundle is made from the start", where="--resume")
        return aitk.bundle(
            run,
            out=out,
            settings=settings,
            domain=domain,
            overwrite=overwrite,
            progress=reporter,
            **as_dict(options),
            **as_dict(training),
        )
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
