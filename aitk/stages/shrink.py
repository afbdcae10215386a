"""Training of smaller models: distillation, channel pruning, magnitude pruning."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import open_assets
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import DistillsBatches, DistillsRows
from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.inference.prediction import predict_rows
from aitk.core.io.files import fingerprint
from aitk.core.runtime.startup import start_keras
from aitk.core.training.batches import Examples
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.train_run import batch_size_of, deciding, with_defaults

if TYPE_CHECKING:
    import keras

BATCH = 32
#: Share of the first epoch over which pruning sets weights to zero; the rest recovers the score.
PRUNING_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model being compressed: a ``.keras`` file and its assets."""

    path: Path
    model: str
    settings: Mapping[str, Any]
    assets: Any
    history: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def train_smaller(
    run: Run,
    task: Task,
    data: PreparedData,
    folder: Path,
    options: CompressOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> Candidate:
    """Distil, prune channels and prune weights, depending on the options, training after each.

    Args:
        folder: for intermediate models; training resumes from existing state.
    """
    candidate = Candidate(
        run.model_path, run.model, run.settings, open_assets(task, run), run.history
    )
    if not (options.distill or options.prune_channels or options.prune):
        return candidate
    start_keras(reporter)
    from aitk.core.runtime.devices import set_up_training

    made = {"distill": options.distill, "channels": options.prune_channels, "prune": options.prune}
    folder.mkdir(exist_ok=True)
    drafts = _Drafts(
        folder,
        identity=fingerprint(
            made
            | {"run": run.manifest, "data": data.fingerprint}
            | {"training": deciding(training), "settings": dict(settings)}
        ),
    )
    with set_up_training(
        seed=training.seed, precision=training.precision, devices=training.devices
    ):
        if options.distill:
            candidate = _distill(
                candidate, task, data, drafts, options.distill, training, settings, reporter
            )
        if options.prune_channels:
            candidate = _prune_channels(
                candidate, task, data, drafts, options.prune_channels, training, reporter
            )
        if options.prune:
            candidate = _prune(candidate, task, data, drafts, options.prune, training, reporter)
    return candidate


def _distill(
    teacher: Candidate,
    task: Task,
    data: PreparedData,
    drafts: _Drafts,
    model: str,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.distill import BatchTeacher, SoftTargetExamples, facts_of
    from aitk.core.inference.predictors import KerasPredictor

    rows = data.rows("train")
    spec = task.models[model]
    if not isinstance(task, DistillsRows | DistillsBatches) or not isinstance(spec, TrainedModel):
        raise UsageError(f"{model} cannot be distilled", where="--distill")
    chosen: Any = resolve(spec.settings, settings, where="setting")
    assets = task.learn(
        rows,
        data.summary,
        chosen,
        balance=training.balance,
        tables=data.tables,
        note=reporter.warn,
    )
    loss = task.distillation_loss(assets, teacher=teacher.assets)
    student = spec.build(chosen, assets)
    larger = load_keras(teacher.path)
    examples = Examples(rows, task, assets)
    batch_teacher = None
    if isinstance(task, DistillsBatches):
        batch_teacher = BatchTeacher(larger, student, task, assets)
    else:
        predictor = KerasPredictor(larger)
        outputs = predict_rows(_each(rows), task, teacher.assets, predictor, batch_size=BATCH)
        examples = SoftTargetExamples(
            examples,
            list(reporter.track(outputs, "teacher outputs", total=len(rows))),
            functools.partial(task.add_soft_targets, assets=assets, teacher=teacher.assets),
        )
    trained = _fit(
        student,
        task,
        assets,
        data,
        drafts,
        "distilled",
        examples=examples,
        loss=loss,
        add_soft_targets=batch_teacher,
        training=with_defaults(training, chosen, rows=len(rows)),
        reporter=reporter,
    )
    facts = {
        "distilled_from": teacher.model,
        **facts_of(loss),
        "parameters": student.count_params(),
    }
    return Candidate(trained.path, model, as_dict(chosen), trained.assets, trained.history, facts)


def _prune_channels(
    candidate: Candidate,
    task: Task,
    data: PreparedData,
    drafts: _Drafts,
    share: float,
    training: TrainingOptions,
    reporter: Reporter,
) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.channels import prune_channels

    model = load_keras(candidate.path)
    before = model.count_params()
    model, removed = prune_channels(model, share=share)
    after = model.count_params()
    reporter.note(f"{removed:,} channels pruned: {after:,} of {before:,} parameters remain")
    narrow = _train_on(
        candidate, model, task, data, drafts, "narrow", training=training, reporter=reporter
    )
    facts = {"channels_removed": removed, "parameters_before": before, "parameters": after}
    return dataclasses.replace(narrow, facts={**candidate.facts, **facts})


def _prune(
    candidate: Candidate,
    task: Task,
    data: PreparedData,
    drafts: _Drafts,
    share: float,
    training: TrainingOptions,
    reporter: Reporter,
) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.prune import MagnitudePruner, share_of_zeros

    model = load_keras(candidate.path)
    spec = task.models[candidate.model]
    if isinstance(spec, ClosedFormModel):
        pruned_model = spec.prune(model, share)
        path = drafts.model("pruned")
        pruned_model.save(path)
        facts = {"pruned_share": share, "parameters": pruned_model.count_params()}
        return dataclasses.replace(candidate, path=path, facts={**candidate.facts, **facts})
    batch_size = batch_size_of(training, spec.settings)
    steps = math.ceil(len(data.rows("train")) / batch_size)
    pruned = _train_on(
        candidate,
        model,
        task,
        data,
        drafts,
        "pruned",
        pruner=MagnitudePruner(model, share=share, steps=int(PRUNING_SHARE * steps)),
        training=training,
        reporter=reporter,
    )
    zeros = share_of_zeros(load_keras(pruned.path))
    reporter.note(f"{zeros:.1%} of the matrix weights are zero")
    return dataclasses.replace(pruned, facts={**candidate.facts, "zero_share": round(zeros, 6)})


def _train_on(
    candidate: Candidate,
    model: keras.Model,
    task: Task,
    data: PreparedData,
    drafts: _Drafts,
    name: str,
    *,
    training: TrainingOptions,
    pruner: Any = None,
    reporter: Reporter,
) -> Candidate:
    """Train a changed candidate like the original one."""
    spec = task.models[candidate.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{candidate.model} is fitted in closed form: it cannot be trained further",
            where=f"--{name}",
        )
    examples = Examples(data.rows("train"), task, candidate.assets)
    trained = _fit(
        model,
        task,
        candidate.assets,
        data,
        drafts,
        name,
        examples=examples,
        loss=spec.loss(candidate.assets),
        pruner=pruner,
        training=with_defaults(
            training,
            spec.settings,
            rows=len(examples),
            learning_rate=spec.default_learning_rate(data.summary),
        ),
        reporter=reporter,
    )
    return dataclasses.replace(
        candidate, path=trained.path, history=trained.history, assets=trained.assets
    )


@dataclasses.dataclass(frozen=True)
class _Drafts:
    """Paths of intermediate models and of their training states.

    Attributes:
        identity: identifies everything that determines their weights.
    """

    folder: Path
    identity: str

    def model(self, name: str) -> Path:
        return self.folder / f"{name}.keras"


@dataclasses.dataclass(frozen=True)
class _Fitted:
    path: Path
    history: Sequence[Mapping[str, Any]]
    assets: Any


def _fit(
    model: keras.Model,
    task: Task,
    assets: Any,
    data: PreparedData,
    drafts: _Drafts,
    name: str,
    *,
    examples: Examples,
    training: TrainingOptions,
    loss: Any,
    add_soft_targets: Any = None,
    pruner: Any = None,
    reporter: Reporter,
) -> _Fitted:
    """Train a model and save its best epoch; its assets may have other thresholds."""
    from aitk.core.training.history import calibrate
    from aitk.core.training.loop import train

    validation = None
    if "validation" in data.splits:
        validation = Examples(data.rows("validation"), task, assets)
    trained = train(
        model,
        task,
        assets,
        train=examples,
        validation=validation,
        options=training,
        state=drafts.folder / name,
        identity=f"{name} {drafts.identity}",
        reporter=reporter,
        loss=loss,
        add_soft_targets=add_soft_targets,
        pruner=pruner,
    )
    path = drafts.model(name)
    trained.model.save(path)
    trained, assets = calibrate(
        trained, task, assets, validation=validation, batch_size=training.batch_size or BATCH
    )
    return _Fitted(path, trained.history, assets)


def _each(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by index."""
    return (rows[index] for index in range(len(rows)))
