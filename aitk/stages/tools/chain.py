"""The commands of a task, from its sample rows to predictions.

Defined once: the help of every command shows its step, ``init`` writes them into a Makefile, and
``demo`` runs them. Standard library only, since help imports this file.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from aitk import registry as tasks


def chain(task: str) -> dict[str, list[str]]:
    """Stage -> its arguments, for one task on its sample rows.

    A pretraining objective has the stages ``prepare`` and ``pretrain``; a task has all the others.
    """
    row = tasks.TASKS[task]
    sample = PurePosixPath(row.sample)
    name, kind = sample.stem, task.partition(".")[2]
    data, run = f"data/{name}", f"runs/{name}"
    files = {part: str(sample.with_stem(f"{name}_{part}")) for part in ("new", "update")}
    prepare = [row.sample, "--task", kind, *_flags(row.options), "--out", data]
    train = [data, *_flags(row.training), "--out", run]
    if row.objective:
        return {"prepare": prepare, "pretrain": train}
    return {
        "prepare": prepare,
        "finetune": train,
        "evaluate": [run],
        "compress": [run, "--quantize", "int8", "--out", f"{run}-int8"],
        "predict": [f"{run}-int8", files["new"], "--out", f"{name}-predicted.jsonl"],
        "tune": [data, "--trials", "5", "--out", f"{run}-tuned"],
        "update": [run, files["update"], "--out", f"{run}-updated"],
        "explain": [run, files["new"], "--rows", "4", "--out", f"explained/{name}"],
    }


def examples(domain: str) -> Mapping[str, str]:
    """Stage -> a complete command line, from the domain's first objective and its first task."""
    first = [*tasks.names(domain, objective=True)[:1], *tasks.names(domain, objective=False)[:1]]
    return {
        stage: f"aitk {domain} {stage} {shlex.join(arguments)}"
        for task in first
        for stage, arguments in chain(task).items()
    }


def _flags(options: Mapping[str, str]) -> list[str]:
    return [
        part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)
    ]
