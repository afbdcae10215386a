"""``tune``: search hyper-parameters by real trainings, and keep the best run.

Trials are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna. Each
is a run of its own, so an interrupted search goes on after the last whole one.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.data import PreparedData, load_data
from aitk.core.errors import DataError, TrainingError, UsageError
from aitk.core.files import check_free, fingerprint, write_json
from aitk.core.options import as_dict, describe, known_names, resolve, unknown_name
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.core.run import load_run
from aitk.core.task import Task
from aitk.stages.options import TrainingOptions, TuneOptions
from aitk.stages.train_run import (
    batch_size_of,
    check_settings,
    choose_model,
    require_task,
    train_run,
)
from aitk.tasks import load_task


@dataclasses.dataclass(frozen=True)
class Range:
    """A log-uniform or uniform interval."""

    low: float
    high: float
    log: bool

    def suggest(self, trial: Any, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)


Space = dict[str, Range | Choice]


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
    task = load_task(require_task(prepared, domain, objective=False))
    model = choose_model(task, training)
    if training.from_ and training.model is None:
        model = _model_of_source(training.from_, task)
    check_settings(task, model, settings)
    space = parse_space(options.space, task.models[model]) or default_space(task.models[model])
    check_free(out, overwrite=overwrite)
    trials = out.with_name(out.name + ".trials")
    if trials.exists() and not resume:
        if not overwrite:
            raise UsageError(
                "trials of an interrupted search are there",
                where=str(trials),
                hint="Go on with --resume, or start anew with --overwrite",
            )
        shutil.rmtree(trials)
    trials.mkdir(parents=True, exist_ok=True)
    study = _study(trials, task, space, task.models[model], training, prepared)
    search = _Search(task, prepared, trials, space, training, settings, reporter)
    while len(finished := _finished(study)) < options.trials:
        reporter.note(f"trial {len(finished) + 1} of {options.trials}")
        search.run(study)
    table = _table(study, task)
    if not any(row["state"] == "complete" for row in table):
        raise TrainingError(f"all {len(table)} trials failed", hint="Narrow --space")
    best = study.best_trial
    winner = trials / f"trial-{best.number}"
    write_json(winner / "tuning.json", {"space": _space_json(space), "trials": table})
    if out.exists():
        shutil.rmtree(out)
    os.replace(winner, out)
    shutil.rmtree(trials)
    run = load_run(out)
    return Outcome(
        facts={
            "run": str(out),
            "task": task.name,
            "model": run.model,
            "best_trial": best.number,
            task.main_metric: best.value,
            "parameters": best.params,
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
        if ".." in values:
            low, _, high = values.partition("..")
            try:
                bounds = float(low), float(high)
            except ValueError:
                bounds = (1.0, 0.0)
            if not bounds[0] < bounds[1]:
                raise UsageError(f"cannot read the range {values!r}", where=f"--space {key}")
            space[key] = Range(*bounds, log=bounds[0] > 0)
        else:
            choices = [
                getattr(resolve(owner, {key: value.strip()}, where="hyper-parameter"), key)
                for value in values.split(",")
            ]
            space[key] = Choice(tuple(choices))
    return space


def default_space(settings: type) -> Space:
    """What the model names; else learning rate within a factor of five of its own, batch size
    within one of two, dropout.

    Raises:
        UsageError: the model says that there is nothing to search.
    """
    own = getattr(settings, "tuned", None)
    if own is not None:
        if not own:
            raise UsageError("this model has nothing to tune", where="--model", hint="See --space")
        return parse_space(own, settings)
    rate = settings.default_learning_rate  # type: ignore[attr-defined]
    batch = batch_size_of(TrainingOptions(), settings)
    space: Space = {
        "learning_rate": Range(rate / 5, rate * 5, log=True),
        "batch_size": Choice((batch // 2, batch, 2 * batch)),
    }
    if any(item.name == "dropout" for item in describe(settings)):
        space["dropout"] = Range(0.0, 0.5, log=False)
    return space


class _Search:
    """The trainings of one study."""

    def __init__(
        self,
        task: Task,
        data: PreparedData,
        trials: Path,
        space: Space,
        training: TrainingOptions,
        settings: Mapping[str, Any],
        reporter: Reporter,
    ):
        self.task, self.data, self.trials, self.space = task, data, trials, space
        self.training, self.settings, self.reporter = training, settings, reporter

    def run(self, study: Any) -> None:
        """Train one proposal and tell the study how it went."""
        import keras
        from optuna.trial import TrialState

        trial = study.ask()
        proposed = {name: item.suggest(trial, name) for name, item in self.space.items()}
        options = {key: proposed[key] for key in known_names(TrainingOptions) & set(proposed)}
        given = {key: proposed[key] for key in proposed if key not in options}
        shown = ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in proposed.items()
        )
        self.reporter.note(f"trial {trial.number}: {shown}")
        try:
            outcome = train_run(
                self.task,
                self.data,
                self.trials / f"trial-{trial.number}",
                options=resolve(TrainingOptions, as_dict(self.training), options),
                settings={**self.settings, **given},
                overwrite=True,
                reporter=self.reporter,
                extra={"trial": proposed},
            )
        except TrainingError as error:
            self.reporter.warn(f"trial {trial.number} failed: {error.line}")
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, outcome.facts[self.task.main_metric])
        finally:
            keras.utils.clear_session(free_memory=True)


def _model_of_source(source: str, task: Task) -> str:
    """The model that a run holds, or the one that wraps other pretrained backbones."""
    if (Path(source) / "run.json").is_file():
        model = load_run(source).model
        return model if model in task.models else choose_model(task, TrainingOptions())
    return list(task.models)[-1]


def _study(
    folder: Path,
    task: Task,
    space: Space,
    settings: type,
    training: TrainingOptions,
    data: PreparedData,
) -> Any:
    """The study in this folder, new or as the interrupted search left it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = fingerprint(
        {"space": _space_json(space), "training": as_dict(training), "data": data.fingerprint}
    )
    study = optuna.create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(folder / "study.journal"))),
        direction="maximize" if task.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=training.seed, n_startup_trials=5),
        load_if_exists=True,
    )
    for trial in study.trials:
        if not trial.state.is_finished():
            study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
    if not study.trials:
        _enqueue_defaults(study, space, settings, training)
    return study


def _enqueue_defaults(study: Any, space: Space, settings: Any, training: TrainingOptions) -> None:
    """Try the defaults first, so that the search never ends worse than no search."""
    rate = training.learning_rate
    first = {item.name: item.default for item in describe(settings)} | {
        "learning_rate": settings.default_learning_rate if rate is None else rate,
        "batch_size": batch_size_of(training, settings),
    }
    inside = {
        key: value
        for key, value in first.items()
        if isinstance(item := space.get(key), Choice | Range)
        and value is not None
        and (value in item.values if isinstance(item, Choice) else item.low <= value <= item.high)
    }
    if inside:
        study.enqueue_trial(inside)


def _finished(study: Any) -> list[Any]:
    """Trials that count: those cut short by an interruption do not."""
    return [
        trial
        for trial in study.trials
        if trial.state.is_finished() and trial.state.name != "PRUNED"
    ]


def _table(study: Any, task: Task) -> list[dict[str, Any]]:
    return [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            task.main_metric: trial.value,
            **trial.params,
        }
        for trial in _finished(study)
    ]


def _space_json(space: Space) -> dict[str, Any]:
    return {key: dataclasses.asdict(item) for key, item in space.items()}
