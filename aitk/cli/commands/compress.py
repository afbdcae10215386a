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
        help="write a folder for a small device: model and script, without aitk",
        rich_help_panel=OUTPUT,
    ),
]
Search = Annotated[
    bool,
    typer.Option(
        "--search",
        help="try combinations of pruning and number formats, and show the Pareto front",
        rich_help_panel=OUTPUT,
    ),
]
Trials = Annotated[
    int,
    typer.Option(
        "--trials",
        min=1,
        help="combinations of pruning steps that --search trains",
        rich_help_panel=OUTPUT,
    ),
]


def compress(
    domain: str,
    run: RunFolder,
    out: Out,
    options: CompressOptions,
    training: Annotated[TrainingOptions, Without(("model", "private", "epsilon", "delta"))],
    settings: Settings,
    reporter: Reporter,
    overwrite: Overwrite = False,
    resume: Resume = False,
    bundle: Bundle = False,
    search: Search = False,
    trials: Trials = 12,
) -> Outcome:
    """Make a run smaller and faster, and measure the cost in quality.

    The table compares bytes, score and latency before and after. The result is a run, which
    evaluate and predict support in any format; with --bundle it is a folder that predicts with
    NumPy and LiteRT (or ONNX Runtime) only. Training options apply to --distill and to the steps
    after pruning.

    For example:

        {compress}
    """
    import aitk

    if search:
        if bundle or resume or overwrite:
            raise UsageError(
                "goes without --bundle, --resume and --overwrite",
                where="--search",
                hint="Repeat it: what is in --out is not made again",
            )
        return aitk.search(
            run,
            out=out,
            trials=trials,
            settings=settings,
            domain=domain,
            progress=reporter,
            **as_dict(options),
            **as_dict(training),
        )
    if bundle:
        if resume:
            raise UsageError("a bundle cannot be resumed", where="--resume")
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
