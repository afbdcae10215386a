"""The trials of a study: claim one, train it, record its score, until the budget is used up."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.drafts import discard
from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import RunDraft
from aitk.core.artifacts.targets import part_of
from aitk.core.contract.errors import AitkError, Interrupted, TrainingError
from aitk.core.contract.options import as_dict, known_names, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.runtime import interrupts
from aitk.stages.options import TrainingOptions
from aitk.stages.training.train_run import train_run
from aitk.stages.tuning.study import COMPLETE, FAILED, PRUNED, Claim, Study


class _GivenUp(Exception):
    """The pruner ended a trial."""


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trains the trials of a study, each a run in the study's folder."""

    study: Study
    task: Task
    data: PreparedData
    training: TrainingOptions
    settings: Mapping[str, Any]
    reporter: Reporter

    def work(self) -> None:
        """Train until no trial can be claimed.

        Raises:
            Interrupted: by a signal; the trial can be resumed.
        """
        while True:
            interrupts.check()
            with self.study.claim() as claim:
                if claim is None:
                    return
                self._try(claim)

    def folder(self, number: int) -> Path:
        """The folder of a trial's run."""
        return self.study.folder / f"trial-{number}"

    def _try(self, claim: Claim) -> None:
        metric = self.task.metric.name
        shown = ", ".join([claim.model, *_shown(claim.parameters)])
        self.reporter.note(f"trial {claim.number}: {shown}")
        interrupts.check()
        started = time.monotonic()
        facts: dict[str, Any] = {}
        state, value = FAILED, None
        earlier = self._same(claim)
        if earlier is not None:
            facts["same_as"] = earlier["trial"]
            state, value = COMPLETE, earlier["value"]
        else:
            try:
                found = self._train(claim)
            except _GivenUp:
                discard(part_of(self.folder(claim.number)))
                state = PRUNED
            except Interrupted:
                raise
            except AitkError as error:
                if len(self.study.plan.models) == 1 and not isinstance(error, TrainingError):
                    raise
                self.reporter.warn(f"trial {claim.number} failed: {error.line}")
                discard(part_of(self.folder(claim.number)))
                facts["reason"] = error.line
            else:
                state, value = COMPLETE, found.get(metric)
                if value is None or not math.isfinite(value):
                    state, value, facts["reason"] = FAILED, None, f"{metric} is undefined"
                facts |= {name: found[name] for name in ("epochs", "stopped") if found.get(name)}
            facts["seconds"] = round(time.monotonic() - started, 1)
        self.study.finish(claim, state, value, facts)
        if state != FAILED:
            result = f"{metric} {value:.4f}" if value is not None else "stopped by the pruner"
            self.reporter.note(f"trial {claim.number}: {result}")

    def _same(self, claim: Claim) -> Mapping[str, Any] | None:
        """A complete trial with the same values, whose score is reused."""
        if self.folder(claim.number).exists() or part_of(self.folder(claim.number)).exists():
            return None
        for row in self.study.rows():
            if (
                row["state"] == COMPLETE
                and "same_as" not in row
                and (row["model"], row["parameters"]) == (claim.model, claim.parameters)
            ):
                return row
        return None

    def _train(self, claim: Claim) -> dict[str, Any]:
        """Train one proposal, or resume its training; returns its score and epochs."""
        import keras

        out, metric = self.folder(claim.number), self.task.metric.name
        if out.exists():  # complete, but not yet recorded
            run = load_run(out)
            best = run.manifest["best"]
            return {
                metric: best.get(metric), "epochs": len(run.history),
                "stopped": run.manifest.get("stopped"),
            }  # fmt: skip
        known = known_names(TrainingOptions)
        options = {key: value for key, value in claim.parameters.items() if key in known}
        own = {key: value for key, value in claim.parameters.items() if key not in known}
        given = known_names(self.task.models[claim.model].settings)
        fixed = {key: value for key, value in self.settings.items() if key in given}
        if self.training.from_ is None:
            options["model"] = claim.model
        if claim.minutes is not None:
            limit = self.training.max_minutes
            options["max_minutes"] = claim.minutes if limit is None else min(limit, claim.minutes)
        sign = 1 if self.task.metric.higher_is_better else -1
        scores: list[float] = []

        def on_epoch(row: Mapping[str, float], epochs: int) -> None:
            score = row.get(metric, math.nan)
            if not math.isfinite(score):
                return
            scores.append(sign * score)
            percent = min(100, round(100 * row["epoch"] / epochs))
            if self.study.report(claim, sign * max(scores), percent):
                raise _GivenUp

        try:
            outcome = train_run(
                self.task,
                self.data,
                out,
                options=resolve(TrainingOptions, as_dict(self.training), options),
                settings={**fixed, **own},
                resume=RunDraft(part_of(out)).resumable(),
                overwrite=not RunDraft(part_of(out)).resumable(),
                reporter=self.reporter,
                extra={"trial": {"number": claim.number, **claim.parameters}},
                on_epoch=on_epoch,
            )
        finally:
            keras.utils.clear_session(free_memory=True)
        facts = outcome.facts
        return {
            metric: facts.get(metric), "epochs": len(facts["epochs"]), "stopped": facts["stopped"],
        }  # fmt: skip


def _shown(parameters: Mapping[str, Any]) -> list[str]:
    """``name value``, for display."""
    return [
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in parameters.items()
    ]


def describe(parameters: Mapping[str, Any]) -> str:
    """The values of a trial in one line."""
    return ", ".join(_shown(parameters))
