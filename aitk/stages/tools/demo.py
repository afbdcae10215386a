"""``demo``: run the commands of a task on its sample rows."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk import registry as tasks
from aitk.core.artifacts.drafts import own_folder
from aitk.core.artifacts.targets import check_folder
from aitk.core.contract.errors import AitkError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.runtime import interrupts
from aitk.core.runtime.child import python_command, python_environment
from aitk.core.runtime.samples import copy_samples
from aitk.stages.tools.chain import chain

STEPS = ("prepare", "pretrain", "finetune", "evaluate", "compress", "predict", "explain")
#: Exit codes after which the demo continues: success, some rows refused, a budget exceeded.
PASSING = (0, 6, 7)
#: Stages with the most informative reports.
WORTH_OPENING = ("finetune", "explain")


class StepFailed(AitkError):
    """A step of the demo failed; the exit code is passed on."""

    def __init__(self, command: str, exit_code: int):
        super().__init__(f"exit code {exit_code}", where=command)
        self.exit_code = exit_code


def demo(out: Path, *, every_task: bool = False, overwrite: bool, reporter: Reporter) -> Outcome:
    """Run each command in a separate process inside ``out`` and collect its results.

    Args:
        every_task: run the commands of every task, instead of the first task of each domain.
    """
    check_folder(out, overwrite=overwrite)
    with own_folder(out):
        names = list(tasks.TASKS) if every_task else _first_tasks()
        return _run_chains(names, out, overwrite=overwrite, reporter=reporter)


def _run_chains(names: Sequence[str], out: Path, *, overwrite: bool, reporter: Reporter) -> Outcome:
    started = time.monotonic()
    steps: list[dict[str, Any]] = []
    reports: list[str] = []
    for name in names:
        row = tasks.TASKS[name]
        copy_samples(
            Path(row.sample).name,
            out / Path(row.sample).parent,
            sidecar_files=row.sidecar_files,
            source=row.samples,
        )
        domain = name.partition(".")[0]
        commands = chain(name)
        for stage in (step for step in STEPS if step in commands):
            command = [domain, stage, *commands[stage]]
            command += ["--overwrite"] if overwrite and stage != "evaluate" else []
            reporter.note(f"$ aitk {shlex.join(command)}")
            before = time.monotonic()
            facts = _run(command, folder=out)
            step = {"task": name, "stage": stage, "seconds": round(time.monotonic() - before, 1)}
            steps.append(step | _result(facts))
            reporter.note("  " + "; ".join(_shown(steps[-1])))
            report = facts.get("report") or facts.get("page")
            if report and stage in WORTH_OPENING:
                reports.append(str(out / report))
    return Outcome(
        facts={
            "folder": str(out),
            "seconds": round(time.monotonic() - started, 1),
            "steps": steps,
            "reports": reports,
        }
        | {f"report {number}": report for number, report in enumerate(reports, 1)},
    )


def _first_tasks() -> list[str]:
    """The first task of each domain."""
    return [tasks.names(domain, objective=False)[0] for domain in tasks.DOMAINS]


def _shown(step: Mapping[str, Any]) -> list[str]:
    return [f"{step['seconds']} s", *([step["result"]] if step["result"] else [])]


def _run(command: list[str], *, folder: Path) -> Mapping[str, Any]:
    """Run one command and return its facts; its errors pass through to stderr."""
    with interrupts.waiting():
        done = subprocess.run(
            python_command("-m", "aitk", *command, "--json", "--quiet"),
            env=python_environment(),
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    interrupts.check()
    if done.returncode not in PASSING:
        raise StepFailed(f"aitk {shlex.join(command)}", done.returncode)
    return json.loads(done.stdout)


def _result(facts: Mapping[str, Any]) -> dict[str, str]:
    """A step's facts in a form short enough for a table."""
    rows = facts.get("rows")
    summary = []
    if isinstance(rows, Mapping):
        summary.append(" + ".join(f"{count} {split}" for split, count in rows.items()))
    elif rows is not None:
        summary.append(f"{rows} rows")
    if "parameters" in facts:
        summary.append(f"{facts['model']}, {facts['parameters']:,} parameters")
    if facts.get("metrics"):
        metric, score = next(iter(facts["metrics"].items()))
        interval = f" ({score['low']:.3f} to {score['high']:.3f})" if score.get("low") else ""
        summary.append(f"{metric} {score['value']:.3f}{interval}")
    for gain in ("smaller", "faster", "slower"):
        if f"times_{gain}" in facts:
            summary.append(f"{facts[f'times_{gain}']:.1f} times {gain}")
    return {"result": "; ".join(summary)}
