"""``update``: learn from new rows without losing the old ones (experience replay).

New rows are trained on together with a sample of the old training rows (rehearsal, Rebuffi et al.
2017); a closed-form model is refitted to all of them. The updated run is written only if it is not
worse on the rows held out when the data was prepared.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.data import Rows
from aitk.core.artifacts.opening import (
    open_assets,
    open_reading,
    open_settings,
    open_spec,
    open_task,
)
from aitk.core.artifacts.run import load_run, new_run
from aitk.core.artifacts.versions import package_versions
from aitk.core.contract.capabilities import Grouped, Updatable
from aitk.core.contract.errors import BudgetMissed, DataError, UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.files import fingerprint
from aitk.core.io.spool import dump_line
from aitk.core.runtime.startup import start_keras
from aitk.core.training.batches import Examples
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.prepare import hash_position
from aitk.stages.train_run import (
    batch_size_of,
    data_of,
    deciding,
    measured_cost,
    require_float_run,
    save_trained,
    validation_metrics,
    with_defaults,
)

HELD_OUT_SHARE = 0.2  # of the new rows, by hash of their key
MAX_WARNINGS = 20  # refused rows reported individually


@dataclass(frozen=True)
class NewRows:
    """New labelled rows, split by a hash of their key."""

    train: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    refused: int

    @property
    def fingerprint(self) -> str:
        """Identifies the rows and their splits."""
        digest = hashlib.sha256()
        for rows in (self.train, self.held_out):
            for row in rows:
                digest.update(f"{dump_line(row, sort_keys=True)}\n".encode())
            digest.update(b"\0")
        return digest.hexdigest()[:16]


class Known(Sequence[dict[str, Any]]):
    """The rows that a run was trained on: those of its data, read from disk, and of updates."""

    def __init__(self, prepared: Rows, learned: list[dict[str, Any]]):
        self._prepared, self._learned = prepared, learned

    def __len__(self) -> int:
        return len(self._prepared) + len(self._learned)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        return self.take([index])[0]

    def take(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Several rows, those of the data first."""
        numbers = np.fromiter(indices, dtype=int)
        first = len(self._prepared)
        prepared = self._prepared.take(numbers[numbers < first])
        return prepared + [self._learned[number - first] for number in numbers[numbers >= first]]


def update(
    run: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    domain: str,
    options: UpdateOptions,
    training: TrainingOptions,
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Train a run further on new rows and write the result as a new run.

    Raises:
        UsageError: the task cannot learn from new rows.
        ArtifactError: the run's data is missing, so that nothing can be replayed.
        BudgetMissed: the held-out score fell by more than ``max_drop``; nothing was written.
    """
    old = load_run(run, domain=domain)
    require_float_run(old, "updated")
    task = open_task(old, load_task)
    if not isinstance(task, Updatable):
        raise UsageError(f"{task.name} cannot learn from new rows", where=str(run))
    spec = open_spec(task, old)
    data = data_of(task, old)
    drafted = new_run(out, inputs=[run, *inputs, data.folder], overwrite=overwrite, resume=resume)
    with drafted as draft, measured_cost() as cost:
        old_assets = open_assets(task, old)
        known = Known(data.rows("train"), old.learned)
        reading: Any = open_reading(task, old)
        read = task.read(inputs, reading, labelled=True, note=reporter.note)
        assets, items = task.extend(read, old_assets, known, reading=reading)
        new = read_new(task, items, inputs, reporter)

        start_keras(reporter)
        from aitk.core.artifacts.keras_file import load_keras
        from aitk.core.inference.predictors import KerasPredictor
        from aitk.core.runtime.devices import set_up_training
        from aitk.core.training.history import calibrate, evaluate_closed_form
        from aitk.core.training.loop import train

        scope = set_up_training(
            seed=training.seed, precision=training.precision, devices=training.devices
        )
        assets.save(draft.assets)
        settings: Any = open_settings(task, old)
        replayed = _replay(known, round(len(new.train) * options.replay), seed=training.seed)
        chosen = training
        if isinstance(spec, TrainedModel):
            chosen = with_defaults(
                training,
                settings,
                rows=len(new.train) + len(replayed),
                learning_rate=spec.default_learning_rate(data.summary),
            )
        batch_size = batch_size_of(chosen, settings)
        held_out = data.held_out("test")
        validation = Examples(
            [*data.rows(data.held_out("validation")), *new.held_out],
            task,
            assets,
        )

        def scores(model: Any, assets: Any) -> dict[str, float]:
            predict = KerasPredictor(model)
            splits: dict[str, Sequence[Mapping[str, Any]]] = {"old": data.rows(held_out)}
            if new.held_out:
                splits["new"] = new.held_out
            return {
                name: main_score(task, rows, assets, predict, batch_size)
                for name, rows in splits.items()
            }

        with scope:
            model = load_keras(old.model_path)
            before = scores(model, old_assets)
            started = time.monotonic()
            if isinstance(spec, ClosedFormModel):
                every = _latest(task, Known(data.rows("train"), [*old.learned, *new.train]))
                model = spec.fit(settings, assets, every, seed=training.seed, reporter=reporter)
            else:
                model = spec.grow(model, settings, old=old_assets, new=assets)
        if isinstance(spec, ClosedFormModel):
            replayed = []
            reporter.note(f"{len(new.train):,} new rows; {old.model} is refitted to all rows")
            trained = evaluate_closed_form(
                model,
                task,
                assets,
                validation=validation,
                batch_size=batch_size,
                started=started,
            )
        else:
            reporter.note(f"{len(new.train):,} new rows with {len(replayed):,} old ones replayed")
            trained = train(
                model,
                task,
                assets,
                train=Examples([*new.train, *replayed], task, assets),
                validation=validation,
                options=chosen,
                state=draft.state,
                identity=fingerprint(
                    {"run": old.manifest, "rows": new.fingerprint, "training": deciding(chosen)}
                ),
                reporter=reporter,
                loss=spec.loss(assets),
            )
        trained, assets = calibrate(
            trained, task, assets, validation=validation, batch_size=batch_size
        )
        assets.save(draft.assets)
        after = scores(trained.model, assets)
        sentence = accept(
            task, before["old"], after["old"], held_out=held_out, run=run, options=options
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
            "parameters": trained.model.count_params(),
            "best": trained.best,
            "updates": [*old.manifest.get("updates", []), record],
            "packages": package_versions(),
        }
        metrics = validation_metrics(task, trained.best, data)
        draft.write_learned([*old.learned, *new.train])
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


def read_new(
    task: Task,
    items: Iterable[Row | Refusal],
    inputs: Sequence[str],
    reporter: Reporter,
    *,
    hold_out: bool = True,
) -> NewRows:
    """The usable new rows; rows without a split are held out by a hash of their key.

    Args:
        hold_out: if false, all rows are training rows.
    """
    train: list[dict[str, Any]] = []
    held_out: list[dict[str, Any]] = []
    refused = 0
    for item in reporter.track(items, "reading"):
        if isinstance(item, Refusal):
            refused += 1
            if refused <= MAX_WARNINGS:
                reporter.warn(f"{item.where}: {item.reason}")
            continue
        split = item.split
        if not isinstance(task, Grouped):
            held = hash_position(task.key(item.fields), 0) < HELD_OUT_SHARE
            split = "test" if held else "train"
        (train if split == "train" or not hold_out else held_out).append(dict(item.fields))
    if refused > MAX_WARNINGS:
        reporter.warn(f"{refused - MAX_WARNINGS:,} more rows were refused")
    if not train:
        raise DataError(
            "no usable new rows", where=", ".join(inputs), hint=f"{refused} rows were refused"
        )
    return NewRows(train, held_out, refused)


def _replay(known: Known, count: int, *, seed: int) -> list[dict[str, Any]]:
    """A sample of the rows that the run was trained on."""
    rng = np.random.default_rng([seed, 1])
    return known.take(rng.permutation(len(known))[:count])


def _latest(task: Task, rows: Known) -> Sequence[dict[str, Any]]:
    """All rows; for a grouped task the last one of each key, which replaces earlier ones."""
    if not isinstance(task, Grouped):
        return rows
    return list({task.key(row): row for row in rows[:]}.values())


def accept(
    task: Task, before: float, after: float, *, held_out: str, run: Path, options: UpdateOptions
) -> str:
    """One sentence on the held-out score before and after.

    Raises:
        BudgetMissed: it fell by more than ``max_drop``.
    """
    sign = 1 if task.metric.higher_is_better else -1
    metric = task.metric.name
    sentence = f"{metric} on the held-out {held_out} rows {before:.4f} before, {after:.4f} after"
    if sign * (before - after) > options.max_drop and not options.force:
        hint = "Use --max-drop or --force to accept it"
        if not options.without_labels:
            hint += ", or raise --replay"
        raise BudgetMissed(f"not updated: {sentence}", where=str(run), hint=hint)
    return sentence


def main_score(
    task: Task, rows: Sequence[Mapping[str, Any]], assets: Any, predict: Any, batch_size: int
) -> float:
    """The main metric of these rows."""
    measured = measure_rows(rows, task, assets, predict, batch_size=batch_size)
    return task.score(measured, assets).metrics[task.metric.name].value
