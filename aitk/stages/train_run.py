"""From prepared data and options to a complete run: shared by finetune, pretrain and tune."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import check_data
from aitk.core.artifacts.run import RunDraft, new_run
from aitk.core.artifacts.versions import package_versions
from aitk.core.contract.capabilities import HasBaselines, Mixes
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict, known_names, resolve, unknown_name
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.files import fingerprint, write_json
from aitk.core.metrics.baselines import (
    baseline_warnings,
    compare_with_baselines,
    score_baselines,
)
from aitk.core.runtime.energy import Energy
from aitk.core.runtime.startup import start_keras
from aitk.core.training.batches import CACHE_BYTES, Examples, RepeatedRows
from aitk.core.training.optimization.optimizers import SCHEDULE_FREE
from aitk.core.training.packing import epoch_size
from aitk.stages.evaluate import comparison_facts, protocol_of
from aitk.stages.options import TrainingOptions
from aitk.stages.privacy.private import plan_privacy, privacy_facts, told_privacy
from aitk.stages.run_data import data_of as data_of
from aitk.stages.run_data import require_float_run as require_float_run

#: Default maximum number of epochs.
MAX_EPOCHS = 30
MIN_PATIENCE = 3
#: For settings without ``default_steps`` or ``default_batch_size``.
STEPS = 500
BATCH_SIZE = 32
#: Minimum number of steps per epoch while batches grow with the data.
MIN_STEPS = 200
#: Short epochs carry little information: patience lasts for at least so many steps.
MIN_PATIENCE_STEPS = 50
#: Options that may change when an interrupted training is resumed.
NOT_IDENTITY = ("save_minutes", "max_minutes", "devices")


def train_run(
    task: Task,
    data: PreparedData,
    out: Path,
    *,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
    extra: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Mapping[str, float], int], None] | None = None,
    state: Path | None = None,
) -> Outcome:
    """Build the model, train it, select the best epoch, write the run.

    Args:
        settings: the given settings of the model; checked before anything heavy starts.
        extra: further keys for ``run.json``.
        on_epoch: see ``core.training.loop.train``.
        state: where the training goes on from, if not from the draft's own state.
    """
    name = choose_model(task, options)
    check_settings(task, name, settings)
    check_data(task, data)
    run = new_run(
        out,
        inputs=[data.folder, options.from_],
        options=settings,
        overwrite=overwrite,
        resume=resume,
    )
    with run as draft, measured_cost() as cost:
        start_keras(reporter)
        from aitk.core.artifacts.pretrained import load_pretrained
        from aitk.core.runtime.devices import set_up_training
        from aitk.core.runtime.precision import resolve_precision
        from aitk.core.training.history import calibrate, evaluate_closed_form
        from aitk.core.training.loop import train

        precision = resolve_precision(options.precision, source=options.from_)
        if precision == "bfloat16" != options.precision:
            reporter.note("bfloat16, which is faster on this processor (see --precision)")
        options = dataclasses.replace(options, precision=precision)
        # The gradients of single rows are taken on one device.
        devices = 1 if options.private else options.devices
        scope = set_up_training(seed=options.seed, precision=options.precision, devices=devices)
        start = None
        with scope:
            if options.from_:
                start = load_pretrained(options.from_, model=options.model, task=task)
                name = start.model
            spec = task.models[name]
            closed_form = isinstance(spec, ClosedFormModel)
            fitting = spec.default_settings(data.summary) if isinstance(spec, TrainedModel) else {}
            chosen: Any = resolve(
                spec.settings, fitting, start.settings if start else {}, settings, where="setting"
            )
            if options.epochs == 0 and not start:
                raise UsageError(
                    "without training, initial weights are needed",
                    where="--epochs 0",
                    hint="Add --from",
                )
            if options.optimizer == SCHEDULE_FREE and (options.ema or options.layer_decay):
                raise UsageError(
                    "already averages weights, and does not support rates by layer",
                    where="--optimizer schedule-free",
                    hint="Omit --ema and --layer-decay",
                )
            rows = data.rows("train")
            shown: Sequence[Mapping[str, Any]] = rows
            if isinstance(task, Mixes):
                places = task.mix(rows, chosen, note=reporter.note)
                shown = rows if places is None else RepeatedRows(rows, places)
            if options.private and shown is not rows:
                raise UsageError(
                    "the settings show some rows more often than others, which --private cannot",
                    where="--private",
                    hint="Leave out the settings that mix rows",
                )
            assets = task.learn(
                rows,
                data.summary,
                chosen,
                start=start,
                balance=options.balance,
                tables=data.tables,
                note=reporter.warn,
            )
            if isinstance(spec, TrainedModel):
                rate = spec.default_learning_rate(data.summary)
                size = epoch_size(Examples(shown, task, assets), task, assets)
                options = with_defaults(options, chosen, rows=size, learning_rate=rate)
            assets.save(draft.assets)
            started = time.monotonic()
            if isinstance(spec, ClosedFormModel):
                model = spec.fit(chosen, assets, rows, seed=options.seed, reporter=reporter)
            else:
                model = spec.build(chosen, assets, backbone=start.backbone if start else None)
                if start:
                    start = spec.fill(start, model, assets)
                    for line in start.report():
                        reporter.note(line)
        validation = data.rows("validation") if "validation" in data.splits else None
        if validation is None and not closed_form and options.epochs:
            reporter.warn("no validation split: the last epoch's weights are used")
        parameters = model.count_params()
        how = "fitted in closed form" if closed_form else "no training"
        if not closed_form and options.epochs:
            how = f"{options.epochs} epochs of batches of {options.batch_size}"
        reporter.note(f"{name}: {parameters:,} parameters, {len(rows):,} training rows, {how}")
        held_out = None
        if validation is not None:
            held_out = Examples(validation, task, assets)
        privacy = None
        if not closed_form and options.epochs:
            privacy = plan_privacy(
                task,
                assets,
                options,
                rows=len(rows),
                steps_per_epoch=math.ceil(len(rows) / batch_size_of(options, chosen)),
                reporter=reporter,
            )
        elif options.private:
            raise UsageError("nothing is trained by gradients here", where="--private")
        if isinstance(spec, ClosedFormModel):
            size = batch_size_of(options, chosen)
            trained = evaluate_closed_form(
                model, task, assets, validation=held_out, batch_size=size, started=started
            )
        else:
            trained = train(
                model,
                task,
                assets,
                train=Examples(
                    shown,
                    task,
                    assets,
                    cache_bytes=0 if options.epochs == 1 else CACHE_BYTES,  # seen once
                ),
                validation=held_out,
                options=options,
                state=state or draft.state,
                identity=identity(data, name, options, chosen),
                reporter=reporter,
                loss=spec.loss(assets),
                events=draft.folder / "events",
                on_epoch=on_epoch,
                privacy=privacy,
            )
        trained, assets = calibrate(
            trained, task, assets, validation=held_out, batch_size=batch_size_of(options, chosen)
        )
        assets.save(draft.assets)
        if trained.stopped:
            reporter.note(f"stopped early: {trained.stopped}")
        manifest = {
            "task": task.name,
            "model": name,
            "settings": as_dict(chosen),
            "options": as_dict(options),
            "format": "keras",
            "data": describe_data(data),
            "parent": options.from_ if start and start.kind == "run" else None,
            "source": options.from_,
            "load_report": start.report() if start else [],
            "seed": options.seed,
            "parameters": parameters,
            "main_metric": task.metric.name,
            "higher_is_better": task.metric.higher_is_better,
            "best": trained.best,
            "stopped": trained.stopped,
            "packages": package_versions(),
        } | dict(extra or {})
        if privacy is not None:
            taken = int(trained.history[-1]["step"])
            manifest["privacy"] = privacy_facts(
                privacy, steps=taken, rows=len(rows), target=options.epsilon
            )
        metrics = validation_metrics(task, trained.best, data)
        if metrics and isinstance(task, HasBaselines):
            measured = trained.measured
            if measured is None:  # the best epoch was before an interruption
                measured = measure_validation(trained.model, task, assets, held_out, options)
            metrics["validation"] |= compared(task, data, assets, measured)
            for warning in metrics["validation"]["warnings"]:
                reporter.warn(warning)
        save_trained(draft, out.name, trained.model, trained.history, manifest | cost(), metrics)
    watched = task.metric.watched
    domain = task.name.partition(".")[0]
    return Outcome(
        facts={
            "run": str(out),
            "task": task.name,
            "model": name,
            "parameters": parameters,
            "best": trained.best,
            "stopped": trained.stopped,
            "epochs": trained.history,
            "report": str(out / "report.html"),
        }
        | (told_privacy(manifest) if privacy else {})
        | {name: trained.best[name] for name in watched if name in trained.best}
        | comparison_facts(task.metric.name, metrics.get("validation", {"metrics": {}})),
        next=f"aitk {domain} evaluate {out}",
    )


def choose_model(task: Task, options: TrainingOptions) -> str:
    """The model of the options, or the task's first; ``--from`` may determine another."""
    if options.model is not None and options.model not in task.models:
        raise unknown_name(options.model, task.models, what="model")
    return options.model or next(iter(task.models))


def check_settings(task: Task, model: str, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that no model of the task has, before TensorFlow starts."""
    known = known_names(*(spec.settings for spec in task.models.values()))
    for key in settings:
        if key not in known:
            raise unknown_name(key, known_names(task.models[model].settings), what="setting")


def with_defaults(
    options: TrainingOptions, settings: Any, *, rows: int, learning_rate: float | None = None
) -> TrainingOptions:
    """Fill in the model's defaults for values that the user did not set.

    Args:
        settings: class or instance; its ``default_epochs`` apply to data large enough for
            ``default_steps``. Small data gets more epochs.
        rows: examples of an epoch.
        learning_rate: the model's default for this data; None for the default of its settings.
    """
    batch_size = options.batch_size or fitting_batch_size(settings, rows)
    steps_per_epoch = math.ceil(rows / batch_size)
    enough = min(MAX_EPOCHS, math.ceil(getattr(settings, "default_steps", STEPS) / steps_per_epoch))
    epochs = options.epochs
    least = max(MIN_PATIENCE, math.ceil(MIN_PATIENCE_STEPS / steps_per_epoch))
    if epochs is None:
        epochs = max(settings.default_epochs, enough)
    if learning_rate is None:
        learning_rate = settings.default_learning_rate
    return dataclasses.replace(
        options,
        epochs=epochs,
        batch_size=batch_size,
        patience=options.patience or max(least, math.ceil(epochs / 4)),
        learning_rate=learning_rate if options.learning_rate is None else options.learning_rate,
    )


def batch_size_of(options: TrainingOptions, settings: Any) -> int:
    """Batch size: from the options, the model's default, or ``BATCH_SIZE``."""
    default: int = getattr(settings, "default_batch_size", BATCH_SIZE)
    return options.batch_size or default


def fitting_batch_size(settings: Any, rows: int) -> int:
    """The model's default, or twice that and so on up to its ``max_batch_size``, as long as an
    epoch has ``MIN_STEPS`` steps."""
    size: int = getattr(settings, "default_batch_size", BATCH_SIZE)
    while 2 * size <= getattr(settings, "max_batch_size", size) and rows >= 2 * size * MIN_STEPS:
        size *= 2
    return size


def identity(data: PreparedData, model: str, options: TrainingOptions, settings: Any) -> str:
    """Identifies everything that determines the weights."""
    return fingerprint(
        {
            "data": data.fingerprint,
            "model": model,
            "options": deciding(options),
            "settings": as_dict(settings),
        }
    )


def deciding(options: TrainingOptions) -> dict[str, Any]:
    """The options that determine the weights."""
    return {key: value for key, value in as_dict(options).items() if key not in NOT_IDENTITY}


def describe_data(data: PreparedData) -> dict[str, Any]:
    """The description of the data in ``run.json``."""
    return {
        "folder": str(data.folder.resolve()),
        "fingerprint": data.fingerprint,
        "reading": data.reading,
        "rows": data.splits,
        "labels": data.summary.get("labels", []),
    }


def require_task(data: PreparedData, domain: str, *, objective: bool) -> str:
    """The full name of the task to train on this data.

    Raises:
        ArtifactError: the data belongs to another domain, or the other kind of task.
    """
    from aitk.registry import TASKS

    name = data.task
    if not name.startswith(f"{domain}."):
        raise ArtifactError(f"contains {name} rows, not {domain} rows", where=str(data.folder))
    if name not in TASKS:
        raise ArtifactError(
            f"contains rows of an unknown task {name!r}",
            where=str(data.folder),
            hint="Use the version of aitk that wrote it",
        )
    if TASKS[name].objective and not objective:
        raise ArtifactError(
            f"contains {name} rows, which are for pretraining",
            where=str(data.folder),
            hint=f"Use: aitk {domain} pretrain {data.folder} --out RUN",
        )
    return name


def validation_metrics(task: Task, best: Mapping[str, float], data: PreparedData) -> dict[str, Any]:
    """The best epoch's validation scores, in the form of ``metrics.json``."""
    if "validation" not in data.splits or task.metric.name not in best:
        return {}
    own = {"epoch", "step", "loss", "learning_rate", "waiting", "seconds"}
    return {
        "validation": {
            "rows": data.splits["validation"],
            "metrics": {
                name: {"value": value}
                for name, value in best.items()
                if name not in own and math.isfinite(value)
            },
            "details": protocol_of(data.summary),
        }
    }


def compared(
    task: Task, data: PreparedData, assets: Assets, measured: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Compare the validation scores with the baselines, for ``metrics.json``.

    Args:
        measured: measurements of the model on the validation rows.
    """
    rows = data.rows("validation")
    scores = score_baselines(task, data.rows("train"), data.summary, assets, rows, measured)
    evaluation = task.score(measured, assets)
    value = evaluation.metrics[task.metric.name].value
    baselines = compare_with_baselines(task, value, evaluation.per_row, scores)
    return {
        "baselines": baselines,
        "warnings": baseline_warnings(task.metric.name, value, baselines),
    }


def measure_validation(
    model: Any, task: Task, assets: Assets, rows: Any, options: TrainingOptions
) -> Mapping[str, np.ndarray]:
    """The measurements of a model on the encoded validation rows."""
    from aitk.core.inference.predictors import KerasPredictor

    size = options.batch_size or BATCH_SIZE
    return measure_rows(rows, task, assets, KerasPredictor(model), batch_size=size)


def save_trained(
    draft: RunDraft,
    name: str,
    model: Any,
    history: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> None:
    """Write the model, its history, report and card, then its manifest."""
    from aitk.core.reporting.card import model_card
    from aitk.core.reporting.report import run_report

    model.save(draft.model_path("keras"))
    write_history(draft, history)
    write_json(draft.folder / "metrics.json", metrics)
    run_report(manifest, history, metrics, draft.folder / "report.html")
    draft.write("README.md", model_card(manifest, metrics, name=name))
    draft.finish(manifest)


def write_history(draft: RunDraft, history: Sequence[Mapping[str, Any]]) -> None:
    """Write ``history.csv``, one line per epoch."""
    with (draft.folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        if history:
            # A metric that is undefined for an epoch is missing in its row.
            names = dict.fromkeys(name for row in history for name in row)
            writer = csv.DictWriter(file, fieldnames=list(names))
            writer.writeheader()
            writer.writerows(history)


@contextlib.contextmanager
def measured_cost() -> Iterator[Any]:
    """Yield a function that returns the cost of the block so far."""
    wall, cpu, energy = time.monotonic(), time.process_time(), Energy()

    def cost() -> dict[str, float]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "wall_s": round(time.monotonic() - wall, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            # Linux reports kilobytes, macOS bytes.
            "peak_memory_mb": round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1),
        } | ({} if (joules := energy.joules()) is None else {"energy_j": round(joules, 1)})

    yield cost
