"""``update --without-labels``: adapt a classifier to new rows without labels.

For example to the recordings of a new speaker. The rows it was trained on are not replayed; the
held-out rows of its prepared data measure forgetting.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.opening import open_assets, open_reading, open_settings, open_task
from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.capabilities import SourceFree, Updatable
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.io.files import fingerprint
from aitk.core.runtime.startup import start_keras
from aitk.core.runtime.versions import package_versions
from aitk.core.training.batches import Examples
from aitk.registry import load_task
from aitk.stages.options import TrainingOptions, UpdateOptions
from aitk.stages.privacy.private import refuse_private
from aitk.stages.training.defaults import deciding
from aitk.stages.training.records import measured_cost, save_trained, validation_metrics
from aitk.stages.training.run_data import data_of, require_float_run
from aitk.stages.updating.learner import accept, main_score
from aitk.stages.updating.rows import read_new

EPOCHS, MIN_STEPS = 15, 100
BATCH_SIZE = 64  # a batch should have a few rows of each class
RATE_SHARE = 0.5  # of the learning rate that trains the model from scratch
#: Options of training without effect here: the rate is constant, and the last epoch is used.
UNUSED = (
    "warmup", "schedule", "ema", "balance", "patience", "freeze_epochs", "lora_rank", "max_minutes",
)  # fmt: skip
ROWS_PER_CLASS = 2  # fewer do not form a cluster


def adapt(
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
    """Adapt a run's model to new rows without labels, and write the result as a new run.

    Raises:
        UsageError: the task or its model cannot be adapted, or an option has no effect.
        DataError: there are too few rows to separate its classes.
        BudgetMissed: the held-out score fell by more than ``max_drop``; nothing was written.
    """
    if out is None or options.follow or options.keep_if_better or options.rollback:
        raise UsageError(
            "an update without labels is a run of its own: no score says whether it is better",
            where="--without-labels",
            hint="Name the run to write with --out",
        )
    for name in UNUSED:
        if getattr(training, name) != getattr(TrainingOptions(), name):
            raise UsageError(
                f"--{name.replace('_', '-')} has no effect with --without-labels",
                hint="Omit it: the rate is constant, and the last epoch is used",
            )
    refuse_private(training, "update", why="train anew on all rows")
    old = load_run(run, domain=domain)
    require_float_run(old, "updated")
    task = open_task(old, load_task)
    if not isinstance(task, SourceFree):
        raise UsageError(
            f"{task.name} cannot learn from rows without labels", where="--without-labels"
        )
    data = data_of(task, old)
    sources: list[str | Path] = [run, *inputs, data.folder]
    drafted = new_run(out, inputs=sources, overwrite=overwrite, resume=resume)
    with drafted as draft, measured_cost() as cost:
        old_assets = open_assets(task, old)
        reading: Any = open_reading(task, old)
        assets, items = old_assets, task.read(inputs, reading, labelled=False, note=reporter.note)
        if isinstance(task, Updatable):
            assets, items = task.extend(items, assets, data.rows("train"), reading=reading)
        rows = read_new(task, items, inputs, reporter, hold_out=False)
        classes = len(task.class_labels(assets))
        if len(rows.train) < ROWS_PER_CLASS * classes:
            raise DataError(
                f"{len(rows.train)} rows are too few for {classes} classes",
                where=", ".join(inputs),
                hint=f"Use at least {ROWS_PER_CLASS * classes}, about equally many per class",
            )

        start_keras(reporter)
        from aitk.core.artifacts.keras_file import load_keras
        from aitk.core.inference.predictors import KerasPredictor
        from aitk.core.runtime.devices import set_up_training
        from aitk.core.training.history import evaluate_closed_form, uncompiled
        from aitk.core.training.source_free import adapt as train

        scope = set_up_training(
            seed=training.seed, precision=training.precision, devices=training.devices
        )
        assets.save(draft.assets)
        settings: Any = open_settings(task, old)
        size = training.batch_size or BATCH_SIZE
        steps = max(1, len(rows.train) // size)
        chosen = dataclasses.replace(
            training,
            epochs=training.epochs or max(EPOCHS, math.ceil(MIN_STEPS / steps)),
            batch_size=size,
            learning_rate=training.learning_rate or RATE_SHARE * settings.default_learning_rate,
        )
        held_out = data.held_out("test")

        def score(of: Any, knowing: Any) -> float:
            rows, predict = data.rows(held_out), KerasPredictor(of)
            return main_score(task, rows, knowing, predict, size)

        with scope:
            model = load_keras(old.model_path)
            before = score(model, old_assets)
            reporter.note(f"{len(rows.train):,} new rows without labels")
            augmented = task.adaptation_assets(assets)
            started = time.monotonic()
            history = train(
                model,
                task,
                augmented,
                rows=Examples(rows.train, task, augmented),
                options=chosen,
                state=draft.state,
                identity=fingerprint(
                    {"run": old.manifest, "rows": rows.fingerprint, "training": deciding(chosen)}
                ),
                reporter=reporter,
            )
            after = score(model, assets)
            validation = Examples(data.rows(data.held_out("validation")), task, assets)
            adapted = evaluate_closed_form(
                uncompiled(model),
                task,
                assets,
                validation=validation,
                batch_size=size,
                started=started,
            )
        sentence = accept(task, before, after, held_out=held_out, run=run, options=options)
        record = {
            "inputs": list(inputs),
            "rows": len(rows.train),
            "replayed": 0,
            "without_labels": True,
            "before": {"old": before},
            "after": {"old": after},
        }
        best = adapted.best | {key: history[-1][key] for key in ("epoch", "step", "loss")}
        manifest = {
            **old.manifest,
            "options": as_dict(chosen),
            "parent": str(old.folder),
            "seed": training.seed,
            "best": best,
            "updates": [*old.manifest.get("updates", []), record],
            "packages": package_versions(),
        }
        draft.write_learned(old.learned)
        metrics = validation_metrics(task, best, data)
        save_trained(draft, out.name, adapted.model, history, manifest | cost(), metrics)
    reporter.note(sentence)
    return Outcome(
        facts={"run": str(out), "task": task.name, **record, "report": str(out / "report.html")},
        table=[{"held-out rows": "old", "before": before, "after": after}],
        refused=rows.refused,
        next=f"aitk {domain} evaluate {out}",
    )
