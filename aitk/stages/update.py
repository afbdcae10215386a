"""``update``: learn from new rows without losing the old ones (experience replay).

New rows are trained on together with a sample of the old training rows (Rebuffi et al. 2017 call
it rehearsal). The updated model takes the old one's place only if it is no worse on the rows held
out when the data was prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.batches import Examples, measure_rows
from aitk.core.data import PreparedData
from aitk.core.errors import BudgetMissed, DataError
from aitk.core.files import check_free, fingerprint
from aitk.core.options import as_dict, resolve
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.core.rows import Refusal, Row
from aitk.core.run import Run, load_run, new_run
from aitk.core.task import Task
from aitk.core.versions import package_versions
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.prepare import hash_position
from aitk.stages.train_run import (
    data_of,
    measured_cost,
    require_float_run,
    save_trained,
    validation_metrics,
    with_defaults,
)
from aitk.tasks import load_task

HELD_OUT_SHARE = 0.2  # of the new rows, by hash of their key


@dataclass(frozen=True)
class NewRows:
    """New rows with labels, split like all others by a hash of their key."""

    train: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    refused: int


def update(
    run: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    overwrite: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Train a run further on new rows and write the result as a run of its own.

    Raises:
        ArtifactError: the run's own data is gone, so that nothing can be replayed.
        BudgetMissed: the held-out score fell by more than ``max_drop``; nothing was written.
    """
    old = load_run(run, domain=domain)
    require_float_run(old, "updated")
    check_free(out, overwrite=overwrite)
    task = load_task(old.task)
    data = data_of(old)
    new = _read_new(task, old, inputs, reporter)
    with new_run(out, overwrite=overwrite) as draft, measured_cost() as cost:
        from aitk.core.devices import set_up_training
        from aitk.core.keras_file import load_keras
        from aitk.core.runtime import KerasPredictor
        from aitk.core.training import train

        scope = set_up_training(
            seed=training.seed, precision=training.precision, devices=training.devices
        )
        assets = task.load_assets(old.assets)
        assets.save(draft.assets)
        settings: Any = resolve(task.models[old.model], old.settings)
        replayed = _replay(data, round(len(new.train) * options.replay), seed=training.seed)
        chosen = with_defaults(training, settings, rows=len(new.train) + len(replayed))
        held_out = data.held_out("test")
        validation = [*data.rows(data.held_out("validation")), *new.held_out]
        reporter.note(f"{len(new.train):,} new rows with {len(replayed):,} old ones replayed")

        with scope:
            model = load_keras(old.model_path)

        def scores(of: Any) -> dict[str, float]:
            predict = KerasPredictor(of)
            judged: dict[str, Sequence[Mapping[str, Any]]] = {"old": data.rows(held_out)}
            if new.held_out:
                judged["new"] = new.held_out
            return {
                name: _main_score(task, rows, assets, predict, chosen.batch_size)
                for name, rows in judged.items()
            }

        before = scores(model)
        trained = train(
            model,
            task,
            assets,
            train=Examples([*new.train, *replayed], task, assets, reporter=reporter),
            validation=Examples(validation, task, assets, reporter=reporter),
            options=chosen,
            state=draft.state,
            identity=fingerprint({"parent": str(old.folder), "inputs": list(inputs)}),
            reporter=reporter,
        )
        after = scores(trained.model)
        sign = 1 if task.higher_is_better else -1
        drop = sign * (before["old"] - after["old"])
        sentence = (
            f"{task.main_metric} on the held-out {held_out} rows"
            f" {before['old']:.4f} before, {after['old']:.4f} after"
        )
        if drop > options.max_drop and not options.force:
            raise BudgetMissed(
                f"not updated: {sentence}",
                where=str(run),
                hint="Accept it with --max-drop or --force, or replay more with --replay",
            )
        record = {
            "inputs": list(inputs),
            "rows": len(new.train),
            "replayed": len(replayed),
            "before": before,
            "after": after,
        }
        manifest = {
            **old.manifest,
            "options": as_dict(chosen),
            "parent": str(old.folder),
            "seed": training.seed,
            "best": trained.best,
            "updates": [*old.manifest.get("updates", []), record],
            "packages": package_versions(),
        }
        metrics = validation_metrics(task, trained.best, data)
        save_trained(draft, out.name, trained.model, trained.history, manifest | cost(), metrics)
    reporter.note(sentence)
    return Outcome(
        facts={"run": str(out), "task": task.name, **record, "report": str(out / "report.html")},
        table=[
            {"held-out rows": name, "before": before[name], "after": after[name]} for name in before
        ],
        refused=new.refused,
        next=f"aitk {domain} evaluate {out}",
    )


def _read_new(task: Task, run: Run, inputs: Sequence[str], reporter: Reporter) -> NewRows:
    """Read raw files as the run's own data was read; rows with unknown labels are refused."""
    reading: Any = resolve(task.reading, run.reading)
    known = set(run.manifest["data"]["labels"])
    train, held_out, refused = [], [], 0
    for item in reporter.track(task.read(inputs, reading, labelled=True), "reading"):
        if isinstance(item, Row) and known and item.fields["label"] not in known:
            label = item.fields["label"]
            item = Refusal(item.file, item.line, f"the label {label!r} was never seen in training")
        if isinstance(item, Refusal):
            refused += 1
            reporter.warn(f"{item.where}: {item.reason}")
        elif hash_position(task.key(item.fields), 0) < HELD_OUT_SHARE:
            held_out.append(dict(item.fields))
        else:
            train.append(dict(item.fields))
    if not train:
        raise DataError(
            "no usable new rows", where=", ".join(inputs), hint=f"{refused} rows were refused"
        )
    return NewRows(train, held_out, refused)


def _replay(data: PreparedData, count: int, *, seed: int) -> list[dict[str, Any]]:
    """A sample of the old training rows."""
    rows = data.rows("train")
    rng = np.random.default_rng([seed, 1])
    return rows.take(rng.permutation(len(rows))[:count])


def _main_score(
    task: Task, rows: Sequence[Mapping[str, Any]], assets: Any, predict: Any, batch_size: int
) -> float:
    measured = measure_rows(rows, task, assets, predict, batch_size=batch_size)
    return task.score(measured, assets).metrics[task.main_metric].value
