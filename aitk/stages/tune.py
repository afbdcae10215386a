"""``tune``: search hyper-parameters by real trainings, and keep the best run.

Trials are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna. Each
is a run of its own, and what is proposed follows from the seed and the trials before it: an
interrupted search goes on in the middle of a trial, and ends as it would have ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import PreparedData, load_data
from aitk.core.artifacts.drafts import discard, draft_folder, empty, own_folder, recover
from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import RunDraft, load_run
from aitk.core.artifacts.targets import check_folder, part_of, trials_of
from aitk.core.contract.errors import (
    ArtifactError,
    DataError,
    Interrupted,
    TrainingError,
    UsageError,
)
from aitk.core.contract.model_spec import AnyModel, TrainedModel
from aitk.core.contract.options import as_dict, describe, known_names, resolve, unknown_name
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.io.files import fingerprint, write_json
from aitk.core.io.json_files import read_json
from aitk.core.runtime import interrupts
from aitk.core.runtime.startup import start_keras
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.train_run import (
    batch_size_of,
    check_settings,
    choose_model,
    deciding,
    require_task,
    train_run,
)


@dataclasses.dataclass(frozen=True)
class Range:
    """A log-uniform or uniform interval, of whole numbers alone for a field that takes these."""

    low: float
    high: float
    log: bool
    whole: bool = False

    def distribution(self) -> Any:
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def distribution(self) -> Any:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


Space = dict[str, Range | Choice]

TRIALS, TUNING = "trials.json", "tuning.json"
#: States of a trial, as Optuna names them.
COMPLETE, FAILED = "complete", "fail"


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
    """Train ``options.trials`` models and write the one that validates best.

    Raises:
        DataError: there is no validation split to compare on.
        TrainingError: every trial failed.
    """
    prepared = load_data(data)
    if "validation" not in prepared.splits:
        raise DataError("no validation split to compare trials on", where=str(data))
    require_task(prepared, domain, objective=False)
    task = open_task(prepared, load_task)
    model = choose_model(task, training)
    check_settings(task, model, settings)
    if training.from_:
        model = _model_of_source(training, task, reporter)
    spec = task.models[model]
    space = parse_space(options.space, spec.settings) or default_space(spec, prepared.summary)
    recover(out)
    trials = trials_of(out)
    search = _Search(task, prepared, trials, space, spec, training, settings, reporter)
    if not (resume and search.is_published(out)):
        inputs = [data, training.from_]
        check_folder(out, inputs=inputs, options=settings, overwrite=overwrite)
        with own_folder(trials):
            if not resume:
                search.start_anew(overwrite=overwrite)
            try:
                search.run(options.trials)
            except Interrupted as error:
                raise Interrupted(error.what, hint="Go on with --resume") from error
            search.publish(out, overwrite=overwrite)
    discard(trials)
    run = load_run(out)
    table = read_json(out / TUNING)["trials"]
    best = search.best(table)
    return Outcome(
        facts={
            "run": str(out),
            "task": task.name,
            "model": run.model,
            "best_trial": best["trial"],
            task.metric.name: best[task.metric.name],
            "parameters": {key: best[key] for key in best if key in space},
            "report": str(out / "report.html"),
        },
        table=table,
        next=f"aitk {domain} evaluate {out}",
    )


def parse_space(texts: Sequence[str], settings: type) -> Space:
    """Read ``KEY=LOW..HIGH`` (log-uniform where LOW > 0) and ``KEY=A,B,C``."""
    known = known_names(TrainingOptions, settings)
    space: Space = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"cannot read {text!r}", where="--space", hint="Write KEY=LOW..HIGH")
        if key not in known:
            raise unknown_name(key, known, what="hyper-parameter")
        owner = settings if key in known_names(settings) else TrainingOptions
        space[key] = _parse_values(key, values, owner)
    return space


def _parse_values(key: str, values: str, owner: type) -> Range | Choice:
    """``LOW..HIGH`` or ``A,B,C`` for a field of the options dataclass ``owner``."""
    if ".." in values:
        low, _, high = values.partition("..")
        try:
            bounds = float(low), float(high)
        except ValueError:
            bounds = (1.0, 0.0)
        types = {item.name.rstrip("_"): item.type for item in describe(owner)}
        whole = types[key.rstrip("_")] is int
        fits = not whole or all(map(float.is_integer, bounds))
        if not (bounds[0] < bounds[1] and fits):
            raise UsageError(f"cannot read the range {values!r}", where=f"--space {key}")
        return Range(*bounds, log=bounds[0] > 0, whole=whole)
    choices = [
        getattr(resolve(owner, {key: value.strip()}, where="hyper-parameter"), key)
        for value in values.split(",")
    ]
    return Choice(tuple(choices))


def default_space(spec: AnyModel, summary: Mapping[str, Any]) -> Space:
    """The search ranges of the model's settings; of a model that is trained also the learning rate
    within a factor of five of its default, and the batch size within a factor of two.

    Raises:
        UsageError: there is nothing to search.
    """
    space: Space = {}
    if isinstance(spec, TrainedModel):
        rate = spec.default_learning_rate(summary)
        batch = batch_size_of(TrainingOptions(), spec.settings)
        space["learning_rate"] = Range(rate / 5, rate * 5, log=True)
        space["batch_size"] = Choice((batch // 2, batch, 2 * batch))
    for item in describe(spec.settings):
        if item.search is not None:
            space[item.name] = _parse_values(item.name, item.search, spec.settings)
    if not space:
        raise UsageError("this model has no settings to tune", where="--model", hint="See --space")
    return space


class _Search:
    """The trials of a search; each finished one is a line of ``trials.json``."""

    def __init__(
        self,
        task: Task,
        data: PreparedData,
        folder: Path,
        space: Space,
        spec: AnyModel,
        training: TrainingOptions,
        settings: Mapping[str, Any],
        reporter: Reporter,
    ):
        self.task, self.data, self.folder, self.space = task, data, folder, space
        self.spec, self.training, self.settings = spec, training, settings
        self.reporter = reporter
        self.identity = fingerprint(
            {
                "space": _space_json(space),
                "training": deciding(training),
                "settings": dict(settings),
                "data": data.fingerprint,
            }
        )

    def start_anew(self, *, overwrite: bool) -> None:
        """Delete the trials of an interrupted search, if ``overwrite`` allows it."""
        if not overwrite and (self.folder / TRIALS).exists():
            raise UsageError(
                "trials of an interrupted search are there",
                where=str(self.folder),
                hint="Go on with --resume, or start anew with --overwrite",
            )
        empty(self.folder)

    def run(self, count: int) -> None:
        """Train until there are so many trials, failed ones included.

        Raises:
            ArtifactError: the trials that are there are of another search.
        """
        path = self.folder / TRIALS
        table: list[dict[str, Any]] = []
        if path.exists():
            saved = read_json(path)
            if saved.get("identity") != self.identity:
                raise ArtifactError(
                    "the interrupted search had other data or options",
                    where=str(self.folder),
                    hint="Repeat its exact command with --resume, or start anew with --overwrite",
                )
            table = saved["trials"]
        while len(table) < count:
            self.reporter.note(f"trial {len(table) + 1} of {count}")
            table.append(self._try(len(table), self._propose(table)))
            write_json(path, {"identity": self.identity, "trials": table})

    def publish(self, out: Path, *, overwrite: bool) -> None:
        """Make the best trial's run the result, with all trials in ``tuning.json``.

        Raises:
            TrainingError: every trial failed.
        """
        table = read_json(self.folder / TRIALS)["trials"]
        if not any(row["state"] == COMPLETE for row in table):
            raise TrainingError(f"all {len(table)} trials failed", hint="Narrow --space")
        with draft_folder(out, overwrite=overwrite) as draft:
            # A copy: cut short while it is made, the search can still go on.
            load_run(self._trial(self.best(table)["trial"])).copy_into(draft)
            space = _space_json(self.space)
            tuning = {"identity": self.identity, "space": space, "trials": table}
            write_json(draft / TUNING, tuning)

    def is_published(self, out: Path) -> bool:
        """Whether the search was over, and only its trials were left to be removed."""
        path = out / TUNING
        return path.is_file() and read_json(path).get("identity") == self.identity

    def best(self, table: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The line of the best trial, the first of equals."""
        done = [row for row in table if row["state"] == COMPLETE]
        best = max if self.task.metric.higher_is_better else min
        return best(done, key=lambda row: row[self.task.metric.name])

    def _trial(self, number: int) -> Path:
        return self.folder / f"trial-{number}"

    def _propose(self, table: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The next values to try: the defaults first, so that no search ends worse than none."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        distributions = {name: item.distribution() for name, item in self.space.items()}
        study = optuna.create_study(
            direction="maximize" if self.task.metric.higher_is_better else "minimize",
            sampler=optuna.samplers.TPESampler(
                seed=self.training.seed + len(table), n_startup_trials=5
            ),
        )
        for row in table:
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[row["state"].upper()],
                    value=row[self.task.metric.name],
                    params={name: row[name] for name in self.space},
                    distributions=distributions,
                )
            )
        if not table:
            study.enqueue_trial(_defaults(self.space, self.spec, self.training, self.data.summary))
        return study.ask(distributions).params

    def _try(self, number: int, proposed: Mapping[str, Any]) -> dict[str, Any]:
        """Train one proposal, or go on with its training; its line of the table."""
        import keras

        options = {key: proposed[key] for key in known_names(TrainingOptions) & set(proposed)}
        given = {key: proposed[key] for key in proposed if key not in options}
        shown = ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in proposed.items()
        )
        self.reporter.note(f"trial {number}: {shown}")
        interrupts.check()
        out, metric = self._trial(number), self.task.metric.name
        row = {"trial": number, "state": COMPLETE, metric: None, **proposed}
        if out.exists():  # whole, but not yet in the table
            return row | {metric: load_run(out).manifest["best"][metric]}
        try:
            outcome = train_run(
                self.task,
                self.data,
                out,
                options=resolve(TrainingOptions, as_dict(self.training), options),
                settings={**self.settings, **given},
                resume=RunDraft(part_of(out)).resumable(),
                reporter=self.reporter,
                extra={"trial": dict(proposed)},
            )
        except TrainingError as error:
            self.reporter.warn(f"trial {number} failed: {error.line}")
            return row | {"state": FAILED}
        finally:
            keras.utils.clear_session(free_memory=True)
        return row | {metric: outcome.facts[metric]}


def _model_of_source(training: TrainingOptions, task: Task, reporter: Reporter) -> str:
    """The model that trainings from these weights have."""
    start_keras(reporter)
    from aitk.core.artifacts.pretrained import load_pretrained

    return load_pretrained(str(training.from_), model=training.model, task=task).model


def _defaults(
    space: Space, spec: AnyModel, training: TrainingOptions, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """The default values of the space's parameters, as far as they lie inside it."""
    first = {item.name: item.default for item in describe(spec.settings)}
    if isinstance(spec, TrainedModel):
        rate = training.learning_rate
        first |= spec.default_settings(summary)
        first["learning_rate"] = spec.default_learning_rate(summary) if rate is None else rate
        first["batch_size"] = batch_size_of(training, spec.settings)
    return {
        key: value
        for key, value in first.items()
        if isinstance(item := space.get(key), Choice | Range)
        and value is not None
        and (value in item.values if isinstance(item, Choice) else item.low <= value <= item.high)
    }


def _space_json(space: Space) -> dict[str, Any]:
    return {key: dataclasses.asdict(item) for key, item in space.items()}
