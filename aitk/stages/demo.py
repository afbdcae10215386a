"""``demo``: the whole chain of every task, on its sample rows, as a person would type it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk import tasks
from aitk.core import interrupts
from aitk.core.child import python_command, python_environment
from aitk.core.errors import AitkError, UsageError
from aitk.core.files import check_writable
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.core.samples import copy_samples
from aitk.stages.chain import chain

STEPS = ("prepare", "pretrain", "finetune", "evaluate", "compress", "predict", "explain")


class StepFailed(AitkError):
    """A step of the demo ended with an exit code of its own."""

    def __init__(self, command: str, exit_code: int):
        super().__init__(f"exit code {exit_code}", where=command)
        self.exit_code = exit_code


def demo(out: Path, *, overwrite: bool, reporter: Reporter) -> Outcome:
    """Run each command in a process of its own inside ``out`` and collect what it says."""
    if out.exists() and not overwrite:
        raise UsageError(
            "exists already", where=str(out), hint="Choose another --out or --overwrite"
        )
    check_writable(out)
    started = time.monotonic()
    table, pages = [], []
    for name, row in tasks.TASKS.items():
        copy_samples(Path(row.sample).name, out / Path(row.sample).parent, beside=row.beside)
        domain = name.partition(".")[0]
        commands = chain(name)
        for stage in (step for step in STEPS if step in commands):
            command = [domain, stage, *commands[stage]]
            command += ["--overwrite"] if overwrite and stage != "evaluate" else []
            reporter.note(f"$ aitk {shlex.join(command)}")
            before = time.monotonic()
            facts = _run(command, folder=out)
            seconds = round(time.monotonic() - before, 1)
            table.append({"task": name, "stage": stage, "seconds": seconds} | _result(facts))
            page = facts.get("report") or facts.get("page")
            if page and str(out / page) not in pages:
                pages.append(str(out / page))
    for page in pages:
        reporter.note(f"report: {page}")
    return Outcome(
        facts={
            "folder": str(out),
            "seconds": round(time.monotonic() - started, 1),
            "reports": pages,
        },
        table=table,
    )


def _run(command: list[str], *, folder: Path) -> Mapping[str, Any]:
    """Run one command; what it says on stderr passes through."""
    with interrupts.waiting():
        done = subprocess.run(
            python_command("-m", "aitk", *command, "--json"),
            env=python_environment(),
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    interrupts.check()
    if done.returncode != 0:
        raise StepFailed(f"aitk {shlex.join(command)}", done.returncode)
    return json.loads(done.stdout)


def _result(facts: Mapping[str, Any]) -> dict[str, str]:
    """The few words of a step's facts that a table has room for."""
    rows = facts.get("rows")
    said = []
    if isinstance(rows, Mapping):
        said.append(" + ".join(f"{count} {split}" for split, count in rows.items()))
    elif rows is not None:
        said.append(f"{rows} rows")
    if "parameters" in facts:
        said.append(f"{facts['model']}, {facts['parameters']:,} parameters")
    if facts.get("metrics"):
        metric, score = next(iter(facts["metrics"].items()))
        interval = f" ({score['low']:.3f} to {score['high']:.3f})" if score.get("low") else ""
        said.append(f"{metric} {score['value']:.3f}{interval}")
    for gain in ("smaller", "faster"):
        if f"times_{gain}" in facts:
            said.append(f"{facts[f'times_{gain}']:.1f} times {gain}")
    return {"result": "; ".join(said)}
