"""``update``: learn from new rows without losing the old ones.

New rows are trained on together with a sample of the old training rows (experience replay; Rebuffi
et al. 2017 call it rehearsal), and the weights can be drawn back to where they were (L2-SP, elastic
weight consolidation); a closed-form model is fitted again to all rows. The updated run is written
only if it is no worse on the rows held out when the data was prepared, or, in a folder of versions,
becomes the current one only if it is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.errors import UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.runtime.startup import start_keras
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.training.records import measured_cost
from aitk.stages.updating.learner import Learner, Updated, accept, is_better
from aitk.stages.updating.rows import read_new
from aitk.stages.updating.stream import follow
from aitk.stages.updating.versions import Versions, is_versions


def update(
    run: Path,
    inputs: Sequence[str],
    out: Path | None,
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Train a run further on new rows and write the result as a new run.

    Args:
        run: a run, or a folder of versions, whose current one is meant.
        out: the run to write, or the folder of versions with ``keep_if_better``, ``follow`` and
            ``rollback``; None where ``run`` is such a folder.

    Raises:
        UsageError: the task cannot learn from new rows, or the options contradict each other.
        ArtifactError: the run's own data is gone, so that nothing can be replayed.
        BudgetMissed: the held-out score fell by more than ``max_drop``; nothing was written.
    """
    folder = out if out is not None else run
    if options.rollback:
        return _roll_back(folder, inputs)
    if not inputs:
        raise UsageError("no new rows", where="INPUT", hint="Name files, folders, or - for stdin")
    if not (options.follow or options.keep_if_better or out is None or is_versions(out)):
        return _update_run(
            run, inputs, out, domain=domain, options=options, training=training,
            overwrite=overwrite, resume=resume, reporter=reporter,
        )  # fmt: skip
    if out is None and not is_versions(run):
        raise UsageError(
            "is no folder of versions", where=str(run), hint="Name the folder to write with --out"
        )
    with Versions.opened(folder, start=run, domain=domain) as versions:
        arguments: dict[str, Any] = {
            "options": options, "training": training, "reporter": reporter,
        }  # fmt: skip
        if options.follow:
            return follow(versions, inputs, domain=domain, **arguments)
        # Of versions nothing is replaced but the draft of the next one.
        return _add_version(
            versions, inputs, domain=domain, overwrite=overwrite, resume=resume, **arguments
        )


def _update_run(
    run: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    overwrite: bool,
    resume: bool,
    reporter: Reporter,
) -> Outcome:
    """Write the updated run, or nothing if it got worse."""
    old = load_run(run, domain=domain)
    task = open_task(old, load_task)
    learner = Learner(old, task, options=options, training=training, reporter=reporter)
    drafted = new_run(
        out, inputs=[run, *inputs, learner.data.folder], overwrite=overwrite, resume=resume
    )
    with drafted as draft, measured_cost() as cost:
        updated, refused = learn_from(learner, inputs, draft)
        before, after = updated.record["before"], updated.record["after"]
        sentence = accept(
            task, before["old"], after["old"], held_out=learner.data.held_out("test"), run=run,
            options=options,
        )  # fmt: skip
        learner.save(updated, draft, out.name, cost())
    reporter.note(sentence)
    return _outcome(out, task, updated, refused, domain)


def _add_version(
    versions: Versions,
    inputs: Sequence[str],
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    overwrite: bool,
    resume: bool,
    reporter: Reporter,
) -> Outcome:
    """Write the next version; it becomes the current one if it is better."""
    old = versions.current()
    task = open_task(old, load_task)
    learner = Learner(old, task, options=options, training=training, reporter=reporter)
    out = versions.next()
    drafted = new_run(out, overwrite=overwrite, resume=resume)
    with drafted as draft, measured_cost() as cost:
        updated, refused = learn_from(learner, inputs, draft)
        learner.save(updated, draft, out.name, cost())
    better, sentence = is_better(task, updated.record, options=options)
    if better:
        versions.promote(out)
    reporter.note(
        f"{out.name} is {'now' if better else 'not made'} the current version: {sentence}"
    )
    outcome = _outcome(out, task, updated, refused, domain)
    facts = dict(outcome.facts) | {"versions": str(versions.folder), "current": better}
    return Outcome(
        facts=facts, table=outcome.table, refused=refused,
        next=f"aitk {domain} evaluate {versions.folder / 'current'}",
    )  # fmt: skip


def learn_from(learner: Learner, inputs: Sequence[str], draft: Any) -> tuple[Updated, int]:
    """Read the new rows and train on them. Returns what came of it, and how many were refused."""
    task, reporter = learner.task, learner.reporter
    learner.open()
    read = task.read(inputs, learner.reading, labelled=True, note=reporter.note)
    assets, items = task.extend(read, learner.assets, learner.known, reading=learner.reading)
    new = read_new(task, items, inputs, reporter)
    start_keras(reporter)
    with learner.start():
        updated = learner.learn(new, assets, draft, inputs=inputs)
    return updated, new.refused


def _roll_back(folder: Path, inputs: Sequence[str]) -> Outcome:
    """Make the parent of the current version the current one."""
    if inputs:
        raise UsageError("takes no new rows", where="--rollback", hint="Leave them out")
    with Versions.opened(folder) as versions:
        was, now = versions.roll_back()
    return Outcome(facts={"versions": str(folder), "was": was.name, "current": now.name})


def _outcome(out: Path, task: Task, updated: Updated, refused: int, domain: str) -> Outcome:
    record = updated.record
    return Outcome(
        facts={"run": str(out), "task": task.name, **record, "report": str(out / "report.html")},
        table=[
            {"held-out rows": name, "before": score, "after": record["after"][name]}
            for name, score in record["before"].items()
        ],
        refused=refused,
        next=f"aitk {domain} evaluate {out}",
    )
