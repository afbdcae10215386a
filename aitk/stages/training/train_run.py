"""From prepared data and options to a complete run: shared by finetune, pretrain and tune."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import check_data
from aitk.core.artifacts.run_draft import RunDraft, new_run
from aitk.core.contract.capabilities import HasBaselines, Mixes
from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.runtime.startup import start_keras
from aitk.core.runtime.versions import package_versions
from aitk.core.training.batches import CACHE_BYTES, Examples, RepeatedRows
from aitk.core.training.optimization.optimizers import SCHEDULE_FREE
from aitk.core.training.packing import epoch_size
from aitk.stages.evaluate import comparison_facts
from aitk.stages.options import TrainingOptions
from aitk.stages.privacy.private import plan_privacy, privacy_facts, privacy_summary
from aitk.stages.training.defaults import (
    batch_size_of,
    check_settings,
    choose_model,
    identity,
    with_defaults,
)
from aitk.stages.training.records import (
    compared,
    describe_data,
    measure_validation,
    measured_cost,
    save_trained,
    validation_metrics,
)

if TYPE_CHECKING:
    from aitk.core.privacy.private import Privacy
    from aitk.core.training.history import Trained


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
        made = _make(task, data, draft, name, options=options, settings=settings, reporter=reporter)
        trained, privacy = _train(
            made, task, data, draft, state=state, on_epoch=on_epoch, reporter=reporter
        )
        made.assets.save(draft.assets)
        if trained.stopped:
            reporter.note(f"stopped early: {trained.stopped}")
        manifest = _manifest(made, task, data, trained, source=options.from_) | dict(extra or {})
        if privacy is not None:
            taken = int(trained.history[-1]["step"])
            manifest["privacy"] = privacy_facts(
                privacy, steps=taken, rows=len(made.rows), target=options.epsilon
            )
        metrics = _metrics(made, task, data, trained, reporter)
        save_trained(draft, out.name, trained.model, trained.history, manifest | cost(), metrics)
    watched = task.metric.watched
    domain = task.name.partition(".")[0]
    return Outcome(
        facts={
            "run": str(out),
            "task": task.name,
            "model": made.name,
            "parameters": made.parameters,
            "best": trained.best,
            "stopped": trained.stopped,
            "epochs": trained.history,
            "report": str(out / "report.html"),
        }
        | (privacy_summary(manifest) if privacy else {})
        | {name: trained.best[name] for name in watched if name in trained.best}
        | comparison_facts(task.metric.name, metrics.get("validation", {"metrics": {}})),
        next=f"aitk {domain} evaluate {out}",
    )


@dataclass
class _Made:
    """A model before its training, and what it is trained on.

    Attributes:
        options: with the defaults of the model filled in.
        shown: the training rows as epochs show them: some more often than others, if the task mixes
            them.
        parameters: weights, before low-rank adapters are added.
        started: when making the model began, which includes the fit of a closed-form one.
    """

    name: str
    spec: Any
    settings: Any
    options: TrainingOptions
    start: Any
    assets: Assets
    rows: Sequence[Mapping[str, Any]]
    shown: Sequence[Mapping[str, Any]]
    model: Any
    parameters: int
    started: float

    @property
    def is_trained(self) -> bool:
        """Whether steps of gradients follow."""
        return bool(isinstance(self.spec, TrainedModel) and self.options.epochs)

    @property
    def batch_size(self) -> int:
        """Rows of a batch."""
        return batch_size_of(self.options, self.settings)


def _make(
    task: Task,
    data: PreparedData,
    draft: RunDraft,
    name: str,
    *,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> _Made:
    """The model with its first weights, or fitted in closed form, and its assets."""
    from aitk.core.artifacts.pretrained import load_pretrained
    from aitk.core.runtime.devices import set_up_training
    from aitk.core.runtime.precision import is_emulated, resolve_precision

    precision = resolve_precision(options.precision, source=options.from_)
    if precision == "bfloat16" != options.precision:
        reporter.note("bfloat16, which is faster on this processor (see --precision)")
    elif is_emulated(precision):
        reporter.warn(
            "this processor has no instructions for bfloat16: float32 is many times faster"
        )
    options = dataclasses.replace(options, precision=precision)
    # The gradients of single rows are taken on one device.
    devices = 1 if options.private else options.devices
    start = None
    with set_up_training(seed=options.seed, precision=options.precision, devices=devices):
        if options.from_:
            start = load_pretrained(options.from_, model=options.model, task=task)
            name = start.model
        spec = task.models[name]
        fitting = spec.default_settings(data.summary) if isinstance(spec, TrainedModel) else {}
        chosen: Any = resolve(
            spec.settings, fitting, start.settings if start else {}, settings, where="setting"
        )
        _check_options(options, has_weights=start is not None)
        rows = data.rows("train")
        shown = _mixed(task, rows, chosen, options, reporter)
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
    return _Made(
        name=name,
        spec=spec,
        settings=chosen,
        options=options,
        start=start,
        assets=assets,
        rows=rows,
        shown=shown,
        model=model,
        parameters=model.count_params(),
        started=started,
    )


def _check_options(options: TrainingOptions, *, has_weights: bool) -> None:
    if options.epochs == 0 and not has_weights:
        raise UsageError(
            "without training, initial weights are needed", where="--epochs 0", hint="Add --from"
        )
    if options.optimizer == SCHEDULE_FREE and (options.ema or options.layer_decay):
        raise UsageError(
            "already averages weights, and does not support rates by layer",
            where="--optimizer schedule-free",
            hint="Omit --ema and --layer-decay",
        )


def _mixed(
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    settings: Any,
    options: TrainingOptions,
    reporter: Reporter,
) -> Sequence[Mapping[str, Any]]:
    """The training rows, as often as the task's settings show each."""
    places = task.mix(rows, settings, note=reporter.note) if isinstance(task, Mixes) else None
    if places is None:
        return rows
    if options.private:
        raise UsageError(
            "the settings show some rows more often than others, which --private cannot",
            where="--private",
            hint="Leave out the settings that mix rows",
        )
    return RepeatedRows(rows, places)


def _train(
    made: _Made,
    task: Task,
    data: PreparedData,
    draft: RunDraft,
    *,
    state: Path | None,
    on_epoch: Callable[[Mapping[str, float], int], None] | None,
    reporter: Reporter,
) -> tuple[Trained, Privacy | None]:
    """Train the model, and calibrate its assets on the validation rows."""
    from aitk.core.training.history import calibrate, evaluate_closed_form
    from aitk.core.training.loop import train

    options, assets = made.options, made.assets
    validation = data.rows("validation") if "validation" in data.splits else None
    if validation is None and made.is_trained:
        reporter.warn("no validation split: the last epoch's weights are used")
    how = "fitted in closed form" if isinstance(made.spec, ClosedFormModel) else "no training"
    if made.is_trained:
        how = f"{options.epochs} epochs of batches of {options.batch_size}"
    rows = len(made.rows)
    reporter.note(f"{made.name}: {made.parameters:,} parameters, {rows:,} training rows, {how}")
    held_out = None if validation is None else Examples(validation, task, assets)
    privacy = None
    if made.is_trained:
        steps = math.ceil(rows / made.batch_size)
        privacy = plan_privacy(
            task, assets, options, rows=rows, steps_per_epoch=steps, reporter=reporter
        )
    elif options.private:
        raise UsageError("nothing is trained by gradients here", where="--private")
    if isinstance(made.spec, ClosedFormModel):
        trained = evaluate_closed_form(
            made.model,
            task,
            assets,
            validation=held_out,
            batch_size=made.batch_size,
            started=made.started,
        )
    else:
        seen_once = options.epochs == 1
        trained = train(
            made.model,
            task,
            assets,
            train=Examples(made.shown, task, assets, cache_bytes=0 if seen_once else CACHE_BYTES),
            validation=held_out,
            options=options,
            state=state or draft.state,
            identity=identity(data, made.name, options, made.settings),
            reporter=reporter,
            loss=made.spec.loss(assets),
            events=draft.folder / "events",
            on_epoch=on_epoch,
            privacy=privacy,
        )
    trained, made.assets = calibrate(
        trained, task, assets, validation=held_out, batch_size=made.batch_size
    )
    return trained, privacy


def _manifest(
    made: _Made, task: Task, data: PreparedData, trained: Trained, *, source: str | None
) -> dict[str, Any]:
    """How the run was made, for ``run.json``."""
    start = made.start
    return {
        "task": task.name,
        "model": made.name,
        "settings": as_dict(made.settings),
        "options": as_dict(made.options),
        "format": "keras",
        "data": describe_data(data),
        "parent": source if start and start.kind == "run" else None,
        "source": source,
        "load_report": start.report() if start else [],
        "seed": made.options.seed,
        "parameters": made.parameters,
        "main_metric": task.metric.name,
        "higher_is_better": task.metric.higher_is_better,
        "best": trained.best,
        "stopped": trained.stopped,
        "packages": package_versions(),
    }


def _metrics(
    made: _Made, task: Task, data: PreparedData, trained: Trained, reporter: Reporter
) -> dict[str, Any]:
    """The scores of the validation rows next to those of the baselines."""
    metrics = validation_metrics(task, trained.best, data)
    if metrics and isinstance(task, HasBaselines):
        measured = trained.measured
        if measured is None:  # the best epoch was before an interruption
            rows = Examples(data.rows("validation"), task, made.assets)
            measured = measure_validation(trained.model, task, made.assets, rows, made.options)
        metrics["validation"] |= compared(task, data, made.assets, measured)
        for warning in metrics["validation"]["warnings"]:
            reporter.warn(warning)
    return metrics
