"""A search: its study, its processes and its result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import PreparedData, load_data
from aitk.core.artifacts.drafts import draft_folder, empty
from aitk.core.artifacts.marker import MARKER, lock_holder
from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, DataError, TrainingError, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.io.files import fingerprint, write_json
from aitk.core.io.json_files import read_json
from aitk.core.reporting.tuning_report import tuning_report
from aitk.core.runtime import interrupts
from aitk.core.runtime.startup import start_keras
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.training.defaults import check_settings, deciding, require_task
from aitk.stages.tuning.space import choose_models, default_values, search_spaces, spaces_json
from aitk.stages.tuning.study import COMPLETE, FILE, Plan, Study, best_of
from aitk.stages.tuning.trials import Trials, describe
from aitk.stages.tuning.workers import Workers

TUNING, REPORT = "tuning.json", "tuning.html"
#: Number of trials if no budget is given.
TRIALS = 10
_PAUSE_S = 0.5
_START_S = 60  # timeout for a study that another process creates


class Search:
    """A search: its study, its processes and its result.

    Args:
        folder: folder of the study and of the runs of its trials.
        call: the arguments of ``open_search``, for other processes.
    """

    def __init__(
        self,
        task: Task,
        data: PreparedData,
        plan: Plan,
        folder: Path,
        training: TrainingOptions,
        settings: Mapping[str, Any],
        call: Mapping[str, Any],
        reporter: Reporter,
    ):
        self.task, self.data, self.plan, self.folder = task, data, plan, folder
        self.training, self.settings, self.call = training, settings, call
        self.reporter = reporter

    def start_anew(self, *, overwrite: bool) -> None:
        """Delete the trials of an interrupted search, if ``overwrite`` allows it."""
        if not overwrite and (self.folder / FILE).exists():
            raise UsageError(
                "contains trials of an interrupted search",
                where=str(self.folder),
                hint="Continue with --resume, or start again with --overwrite",
            )
        empty(self.folder)

    def lead(self, out: Path, *, workers: int, overwrite: bool) -> None:
        """Work on the study until it is finished, and publish the best run."""
        start_keras(self.reporter)
        study = Study(self.folder, self.plan)
        study.start_clock()
        trials = self._trials(study)
        try:
            with Workers(self.call, count=workers - 1, warn=self.reporter.warn):
                while True:
                    trials.work()
                    if not study.is_busy():
                        break
                    with interrupts.waiting():
                        time.sleep(_PAUSE_S)
        finally:
            study.stop_clock()
        self.publish(study, out, overwrite=overwrite)

    def join(self, out: Path) -> str:
        """Work on the study that another process leads, until that process ends.

        Returns:
            The id of the study.
        """
        started = time.monotonic()
        while not (self.folder / FILE).exists():
            if time.monotonic() - started > _START_S or not self.folder.exists():
                raise ArtifactError(
                    "is locked by another process, and contains no study", where=str(self.folder)
                )
            with interrupts.waiting():
                time.sleep(_PAUSE_S)
        self.reporter.note(f"joining the search of another process for {out}")
        start_keras(self.reporter)
        study = Study(self.folder, self.plan)
        id = study.id
        self._trials(study).work()
        self.reporter.status("waiting for the trials of other processes")
        while lock_holder(self.folder / MARKER) is not None:
            with interrupts.waiting():
                time.sleep(_PAUSE_S)
        return id

    def work(self) -> None:
        """Train trials without publishing: the work of ``--workers``."""
        start_keras(self.reporter)
        self._trials(Study(self.folder, self.plan)).work()

    def publish(self, study: Study, out: Path, *, overwrite: bool) -> None:
        """Publish the best trial's run, with the whole search in ``tuning.json``.

        Raises:
            TrainingError: every trial failed.
        """
        rows = study.rows()
        if not any(row["state"] == COMPLETE for row in rows):
            reasons = [row["reason"] for row in rows if "reason" in row]
            first = f" ({reasons[0]})" if reasons else ""
            raise TrainingError(f"all {len(rows)} trials failed{first}", hint="Narrow --space")
        best = best_of(rows, higher_is_better=self.plan.higher_is_better)
        with draft_folder(out, overwrite=overwrite) as draft:
            # A copy: after an interruption here, the search can still resume.
            number = best.get("same_as", best["trial"])
            load_run(self._trials(study).folder(number)).copy_into(draft)
            tuning = {
                "identity": self.plan.identity,
                "study": study.id,
                "task": self.task.name,
                "metric": self.task.metric.name,
                "higher_is_better": self.plan.higher_is_better,
                "sampler": self.plan.sampler,
                "pruner": self.plan.pruner,
                "seconds": round(study.seconds(), 1),
                "space": spaces_json(self.plan.spaces),
                "best_trial": best["trial"],
                "importances": study.importances(),
                "trials": rows,
            }
            write_json(draft / TUNING, tuning)
            tuning_report(tuning, draft / REPORT, name=out.name)

    def is_published(self, out: Path, *, study: str | None = None) -> bool:
        """Whether the search was finished, with only its trials left to be removed."""
        path = out / TUNING
        if not path.is_file():
            return False
        tuning = read_json(path)
        return tuning.get("identity") == self.plan.identity and study in (None, tuning.get("study"))

    def outcome(self, out: Path) -> Outcome:
        """The result of a published search."""
        run, tuning = load_run(out), read_json(out / TUNING)
        metric, rows = tuning["metric"], tuning["trials"]
        best = next(row for row in rows if row["trial"] == tuning["best_trial"])
        several = len(self.plan.models) > 1
        table = [
            {"trial": row["trial"], "state": row["state"], metric: row["value"]}
            | (
                {"model": row["model"], "parameters": describe(row["parameters"])}
                if several
                else {}
            )
            | ({} if several else row["parameters"])
            for row in rows
        ]
        facts: dict[str, Any] = {
            "run": str(out),
            "task": self.task.name,
            "model": run.model,
            "best_trial": best["trial"],
            metric: best["value"],
            "parameters": best["parameters"],
        }
        if several:
            facts["models"] = best_of_each(rows, higher_is_better=self.plan.higher_is_better)
        return Outcome(
            facts=facts | {"report": str(out / "report.html"), "search": str(out / REPORT)},
            table=table,
            next=f"aitk {self.task.name.partition('.')[0]} evaluate {out}",
        )

    def _trials(self, study: Study) -> Trials:
        return Trials(study, self.task, self.data, self.training, self.settings, self.reporter)


def open_search(
    data: Path,
    *,
    domain: str,
    options: TuneOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    trials: Path,
    reporter: Reporter,
) -> Search:
    """Check the search before anything heavy starts, except for ``--from``.

    Args:
        trials: the folder of the study.
    """
    prepared = load_data(data)
    if "validation" not in prepared.splits:
        raise DataError("no validation split to compare trials on", where=str(data))
    require_task(prepared, domain, objective=False)
    task = open_task(prepared, load_task)
    models = choose_models(task, options, training)
    check_settings(task, models[0], settings)
    if training.from_:
        models = [_model_of_source(training, task, reporter)]
    spaces = search_spaces(task, models, options, training, settings, prepared.summary)
    identity = {
        "space": spaces_json(spaces),
        "training": deciding(training),
        "settings": dict(settings),
        "data": prepared.fingerprint,
        "sampler": options.sampler,
        "pruner": options.pruner,
    }
    plan = Plan(
        spaces=spaces,
        defaults={
            name: default_values(spaces[name], task.models[name], training, prepared.summary)
            for name in models
        },
        sampler=options.sampler,
        pruner=options.pruner,
        seed=training.seed,
        trials=options.trials or (TRIALS if options.minutes is None else None),
        minutes=options.minutes,
        higher_is_better=task.metric.higher_is_better,
        identity=fingerprint(identity),
    )
    call = {
        "data": str(data), "domain": domain, "options": options, "training": training,
        "settings": dict(settings), "trials": str(trials),
    }  # fmt: skip
    return Search(task, prepared, plan, trials, training, settings, call, reporter)


def best_of_each(
    rows: Sequence[Mapping[str, Any]], *, higher_is_better: bool
) -> dict[str, float | None]:
    """The best score of each model; None if no trial of it completed."""
    models = dict.fromkeys(row["model"] for row in rows if row["model"])
    found: dict[str, float | None] = {}
    for model in models:
        own = [row for row in rows if row["model"] == model and row["state"] == COMPLETE]
        best = best_of(own, higher_is_better=higher_is_better)["value"] if own else None
        found[model] = best
    return found


def _model_of_source(training: TrainingOptions, task: Task, reporter: Reporter) -> str:
    """The model that trainings from these weights use."""
    start_keras(reporter)
    from aitk.core.artifacts.pretrained import load_pretrained

    return load_pretrained(str(training.from_), model=training.model, task=task).model
