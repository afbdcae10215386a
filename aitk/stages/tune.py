"""``tune``: search models and hyper-parameters by real trainings, and select the best run.

Trials are proposed by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), and stopped
early by asynchronous successive halving (Li et al. 2020). The defaults of each model come first, so
that no search ends worse than none. Any number of processes may work on one study: the first one
leads it and writes the run, the others join it. Proposals follow from the seed and the previous
trials: an interrupted search of one process resumes in the middle of a trial, with the same result
as without the interruption.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.drafts import discard, own_folder, recover
from aitk.core.artifacts.marker import MARKER, lock_holder
from aitk.core.artifacts.targets import check_folder, trials_of
from aitk.core.contract.errors import Interrupted, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.privacy.private import refuse_private
from aitk.stages.tuning.search import open_search


def tune(
    data: Path,
    out: Path,
    *,
    domain: str,
    options: TuneOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Train models until the budget is used up, and write the run with the best validation score.

    Raises:
        DataError: there is no validation split to compare on.
        TrainingError: every trial failed.
    """
    refuse_private(training, "tune", why="every trial would spend of epsilon")
    search = open_search(
        data, domain=domain, options=options, training=training, settings=settings,
        trials=trials_of(out), reporter=reporter,
    )  # fmt: skip
    recover(out)
    joined = None
    while not (resume and joined is None and search.is_published(out)):
        if lock_holder(search.folder / MARKER) is not None:
            joined = search.join(out)
            if search.is_published(out, study=joined):
                break
            resume = True  # its leader was stopped
            continue
        check_folder(
            out,
            inputs=[data, training.from_],
            options=settings,
            overwrite=overwrite or bool(joined),
        )
        try:
            with own_folder(search.folder):
                if not resume:
                    search.start_anew(overwrite=overwrite)
                search.lead(out, workers=options.workers, overwrite=overwrite)
        except Interrupted as error:
            raise Interrupted(error.what, hint="Continue with --resume") from error
        except UsageError:
            if lock_holder(search.folder / MARKER) is None:
                raise
            continue  # another process was faster
        discard(search.folder)
        break
    else:
        discard(search.folder)
    return search.outcome(out)
