"""The study: its trials, the processes that train them, and their results.

Optuna proposes trials and stores them in an SQLite file. Processes that work on one study claim
trials under a file lock, and hold a lock of each trial while they train it: a running trial without
a lock has lost its process, and the next process resumes it. So no trial is lost, and none is
trained twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError
from aitk.stages.tuning.space import Space

FILE, LOCK = "study.db", "study.lock"
NAME = "aitk"
#: Displayed names of the states of a trial.
COMPLETE, PRUNED, FAILED, RUNNING = "complete", "pruned", "failed", "running"
#: A small space is exhausted after this many consecutive proposals of earlier trials.
MOST_REPEATS = 10
#: Asynchronous successive halving (Li et al. 2020): rungs at 25% and 75% of the epochs, from which
#: the best third of the trials continues. Models differ in epochs; the shares are comparable.
FIRST_RUNG_PERCENT, REDUCTION = 25, 3
_TIMEOUT_S = 120  # timeout for transactions of other processes


@dataclass(frozen=True)
class Plan:
    """Everything that determines the trials of a study.

    Attributes:
        spaces: search space of each model.
        defaults: default values of each model, which are tried first.
        trials: maximum number of trials; None for no limit.
        minutes: time limit for starting trials; None for no limit.
        identity: identifies all this and the data: only a study of the same identity is resumed.
    """

    spaces: Mapping[str, Space]
    defaults: Mapping[str, Mapping[str, Any]]
    sampler: str
    pruner: str
    seed: int
    trials: int | None
    minutes: float | None
    higher_is_better: bool
    identity: str

    @property
    def models(self) -> list[str]:
        return list(self.spaces)

    @property
    def tunable(self) -> list[str]:
        """The models with something to search; the others have one trial."""
        return [name for name, space in self.spaces.items() if space]


@dataclass
class Claim:
    """A trial claimed by this process.

    Attributes:
        first: whether it has the defaults of its model, and is never pruned.
        parameters: the values to try, by option or setting.
        minutes: time limit of its training; None for no limit.
    """

    number: int
    model: str
    first: bool
    parameters: dict[str, Any]
    minutes: float | None
    trial: Any = field(repr=False)
    lock: int = field(repr=False)


class Study:
    """A study in a folder.

    Raises:
        ArtifactError: the existing study has another identity.
    """

    def __init__(self, folder: Path, plan: Plan):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.plan = folder, plan
        with self._alone():
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{(folder / FILE).resolve()}",
                engine_kwargs={"connect_args": {"timeout": _TIMEOUT_S}},
            )
            self._study = optuna.create_study(
                storage=storage,
                study_name=NAME,
                direction="maximize" if plan.higher_is_better else "minimize",
                pruner=_pruner(plan.pruner),
                load_if_exists=True,
            )
            if "identity" not in self._study.user_attrs:
                self._study.set_user_attr("id", uuid.uuid4().hex)
                self._study.set_user_attr("identity", plan.identity)
        if self._study.user_attrs["identity"] != plan.identity:
            raise ArtifactError(
                "the interrupted search had other data or options",
                where=str(folder),
                hint="Repeat its exact command with --resume, or start again with --overwrite",
            )

    @property
    def id(self) -> str:
        """Unique id of this study, even among studies with equal options."""
        return str(self._study.user_attrs["id"])

    # The clock ------------------------------------------------------------

    def start_clock(self) -> None:
        """Start to count the time of the study, after a pause."""
        seconds = self._study.user_attrs.get("clock", {}).get("seconds", 0.0)
        self._study.set_user_attr("clock", {"seconds": seconds, "since": time.time()})

    def stop_clock(self) -> None:
        """Pause the clock."""
        self._study.set_user_attr("clock", {"seconds": self.seconds(), "since": None})

    def seconds(self) -> float:
        """The time spent on the study."""
        clock = self._study.user_attrs.get("clock", {"seconds": 0.0, "since": None})
        running = 0.0 if clock["since"] is None else max(0.0, time.time() - clock["since"])
        return float(clock["seconds"]) + running

    # Trials ---------------------------------------------------------------

    @contextlib.contextmanager
    def claim(self) -> Iterator[Claim | None]:
        """The next trial to train, locked until the block ends.

        None if the budget is used up and no trial is left.
        """
        with self._alone():
            claim = self._next()
        try:
            yield claim
        finally:
            if claim is not None:
                os.close(claim.lock)

    def is_busy(self) -> bool:
        """Whether a process is training a trial."""
        with self._alone():
            for trial in self._running():
                descriptor = self._lock_trial(trial.number)
                if descriptor is None:
                    return True
                os.close(descriptor)
        return False

    def report(self, claim: Claim, value: float, percent: int) -> bool:
        """Record a score at a share of the epochs. Returns whether to stop the trial."""
        if self.plan.pruner == "none":
            return False
        claim.trial.report(value, step=percent)
        beaten = bool(claim.trial.should_prune())
        return beaten and percent < 100 and not claim.first

    def finish(
        self, claim: Claim, state: str, value: float | None, facts: Mapping[str, Any]
    ) -> None:
        """Record the result of a trial."""
        from optuna.trial import TrialState

        for name, each in facts.items():
            claim.trial.set_user_attr(name, each)
        booked = {
            COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL,
        }[state]  # fmt: skip
        with self._alone():
            values = value if state == COMPLETE else None
            self._study.tell(claim.trial, values, state=booked)
            # A killed process loses at most the counted time of one trial.
            self._study.set_user_attr("clock", {"seconds": self.seconds(), "since": time.time()})

    def rows(self) -> list[dict[str, Any]]:
        """Every trial, in order: number, state, value, model, parameters and its facts."""
        names = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED, "RUNNING": RUNNING}
        rows = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state.name not in names:
                continue
            facts = dict(trial.user_attrs)
            model = facts.pop("model", None)
            rows.append(
                {
                    "trial": trial.number,
                    "state": names[trial.state.name],
                    "value": trial.value if trial.state.name == "COMPLETE" else None,
                    "model": model,
                    "parameters": self._parameters(model, trial.params),
                    **facts,
                }
            )
        return rows

    def importances(self) -> dict[str, float]:
        """The importance of each parameter for the score: PED-ANOVA (Watanabe et al. 2023).

        The shares sum to 1. Empty if there are too few trials.
        """
        import optuna

        done = [row for row in self.rows() if row["state"] == COMPLETE]
        if len(done) < 4 or len({row["value"] for row in done}) < 2:
            return {}
        with _quiet():
            found = optuna.importance.get_param_importances(self._study)
        return {name: float(share) for name, share in found.items()}

    def _next(self) -> Claim | None:
        import optuna

        for trial in self._running():
            descriptor = self._lock_trial(trial.number)
            if descriptor is not None:
                self._study.sampler = self._sampler(trial.number)
                again = optuna.trial.Trial(self._study, trial._trial_id)
                return self._proposed(again, descriptor)
        if self._is_used_up():
            return None
        number = len(self._trials())
        waiting = any(each.state.name == "WAITING" for each in self._trials())
        number -= waiting
        self._study.sampler = self._sampler(number)
        if not waiting and number < len(self.plan.models):
            model = self.plan.models[number]
            values = {self._name(model, key): v for key, v in self.plan.defaults[model].items()}
            if model in self.plan.tunable and len(self.plan.tunable) > 1:
                values["model"] = model
            self._study.enqueue_trial(values)
        trial = self._study.ask()
        descriptor = self._lock_trial(trial.number)
        if descriptor is None:
            raise RuntimeError(f"trial {trial.number} is new, and another process has its lock")
        return self._proposed(trial, descriptor)

    def _proposed(self, trial: Any, descriptor: int) -> Claim:
        """The values of a trial; a resumed trial keeps its values."""
        models, tunable = self.plan.models, self.plan.tunable
        first = trial.number < len(models)
        if first:
            model = models[trial.number]
            if model in tunable and len(tunable) > 1:
                trial.suggest_categorical("model", tunable)
        else:
            model = tunable[0] if len(tunable) == 1 else trial.suggest_categorical("model", tunable)
        parameters = {}
        for key, item in self.plan.spaces[model].items():
            parameters[key] = item.suggest(trial, self._name(model, key))
        trial.set_user_attr("model", model)
        return Claim(
            number=trial.number,
            model=model,
            first=first,
            parameters=parameters,
            minutes=self._minutes_for(trial.number),
            trial=trial,
            lock=descriptor,
        )

    def _minutes_for(self, number: int) -> float | None:
        """The rest of the budget; while some models are untried, a fair share of it."""
        if self.plan.minutes is None:
            return None
        left = max(0.0, self.plan.minutes - self.seconds() / 60)
        return left / max(1, len(self.plan.models) - number)

    def _is_used_up(self) -> bool:
        """Whether no further trial may start."""
        trials, plan = self._trials(), self.plan
        begun = [each for each in trials if each.state.name != "WAITING"]
        if not begun:
            return False
        if plan.trials is not None and len(begun) >= plan.trials:
            return True
        if plan.minutes is not None and self.seconds() >= plan.minutes * 60:
            return True
        if len(begun) >= len(plan.models) and not plan.tunable:
            return True
        last = begun[-MOST_REPEATS:]
        return len(last) == MOST_REPEATS and all("same_as" in each.user_attrs for each in last)

    def _trials(self) -> list[Any]:
        return self._study.get_trials(deepcopy=False)

    def _running(self) -> list[Any]:
        return [each for each in self._trials() if each.state.name == "RUNNING"]

    def _sampler(self, number: int) -> Any:
        """A sampler for one trial, so that an interrupted search resumes identically."""
        import optuna

        seed = self.plan.seed + number
        if self.plan.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with _quiet():
            # Each model has its own parameters: they are modelled in groups.
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=max(5, 2 * len(self.plan.models)),
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    def _name(self, model: str, key: str) -> str:
        return key if len(self.plan.models) == 1 else f"{model}.{key}"

    def _parameters(self, model: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
        if model is None:
            return {}
        known = {self._name(model, key): key for key in self.plan.spaces[model]}
        return {known[name]: value for name, value in values.items() if name in known}

    def _lock_trial(self, number: int) -> int | None:
        """The descriptor of the trial's locked file; None if another process has the lock."""
        path = self.folder / f"trial-{number}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # some network file systems have no locks: allow a single process
            pass
        return descriptor

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the study for a short change."""
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Optuna's warnings about experimental arguments and few trials."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna")
        yield


def _pruner(name: str) -> Any:
    import optuna

    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=FIRST_RUNG_PERCENT, reduction_factor=REDUCTION
        )
    if name == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=FIRST_RUNG_PERCENT)
    return optuna.pruners.NopPruner()


def best_of(rows: Sequence[Mapping[str, Any]], *, higher_is_better: bool) -> Mapping[str, Any]:
    """The best complete trial; the first one of ties."""
    done = [row for row in rows if row["state"] == COMPLETE]
    return (max if higher_is_better else min)(done, key=lambda row: row["value"])
