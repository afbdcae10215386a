"""Training towards a smaller model: distillation, pruning of parts, pruning of weights."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import open_assets
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import DistillsBatches, DistillsRows, PrunesVocabulary
from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import predict_rows
from aitk.core.io.files import fingerprint
from aitk.core.runtime.startup import start_keras
from aitk.core.training.batches import Examples, drawn
from aitk.core.training.packing import epoch_size
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.training.defaults import batch_size_of, deciding, with_defaults

if TYPE_CHECKING:
    import keras

BATCH = 32
#: Share of the first epoch over which pruning sets weights to zero; the rest recovers the score.
PRUNING_SHARE = 0.6
#: The options that take parts out of a transformer.
TRANSFORMER_PARTS = ("prune_heads", "prune_units", "prune_layers")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model that is being made smaller: a ``.keras`` file and what goes with it.

    Attributes:
        step: what was done to it last, as the table names it.
    """

    path: Path
    model: str
    settings: Mapping[str, Any]
    assets: Assets
    history: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    step: str = "before"


def train_smaller(
    run: Run,
    task: Task,
    data: PreparedData,
    folder: Path,
    options: CompressOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> list[Candidate]:
    """Distil and prune as the options say, each step followed by training.

    Args:
        folder: for intermediate models; a training goes on from the state that is there.

    Returns:
        The run's own model, and that of each step.
    """
    candidate = Candidate(
        run.model_path, run.model, run.settings, open_assets(task, run), run.history
    )
    steps = [candidate]
    if not trains(options):
        return steps
    start_keras(reporter)
    from aitk.core.runtime.devices import set_up_training

    made = {"distill": options.distill, "channels": options.prune_channels, "prune": options.prune}
    made |= {name: each for name in TRANSFORMER_PARTS if (each := getattr(options, name))}
    if options.prune and options.prune_pattern != "any":
        made["pattern"] = options.prune_pattern
    teacher = candidate if options.distill_pruned else None
    made |= {"teacher": True} if teacher else {}
    made |= {"vocabulary": True} if options.prune_vocabulary else {}
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
            steps.append(
                _distill(
                    candidate, task, data, drafts, options.distill, training, settings, reporter
                )
            )
        further = _Further(task, data, drafts, training, teacher, reporter)
        if options.prune_vocabulary:
            steps.append(_prune_vocabulary(steps[-1], further))
        if options.prune_channels:
            steps.append(_prune_channels(steps[-1], further, options.prune_channels))
        if any(getattr(options, name) for name in TRANSFORMER_PARTS):
            steps.append(_prune_transformer(steps[-1], further, options))
        if options.prune:
            steps.append(_prune(steps[-1], further, options.prune, options.prune_pattern))
    return steps


def trains(options: CompressOptions) -> bool:
    """Whether the options ask for more than another file format."""
    names = ("distill", "prune_vocabulary", "prune_channels", "prune", *TRANSFORMER_PARTS)
    return any(getattr(options, name) for name in names)


@dataclasses.dataclass(frozen=True)
class _Further:
    """How pruned models are trained further.

    Attributes:
        teacher: whose outputs they also learn from.
    """

    task: Task
    data: PreparedData
    drafts: _Drafts
    training: TrainingOptions
    teacher: Candidate | None
    reporter: Reporter


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
    from aitk.core.compression.distill import facts_of

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
    student = spec.build(chosen, assets)
    taught = _teach(task, rows, student, assets, teacher, reporter)
    trained = _fit(
        student,
        task,
        assets,
        data,
        drafts,
        "distilled",
        examples=taught.examples,
        loss=taught.loss,
        add_soft_targets=taught.batch_teacher,
        training=with_defaults(training, chosen, rows=len(rows)),
        reporter=reporter,
    )
    facts = {
        "distilled_from": teacher.model,
        **facts_of(taught.loss),
        "parameters": student.count_params(),
    }
    return Candidate(
        trained.path, model, as_dict(chosen), trained.assets, trained.history, facts, "distilled"
    )


@dataclasses.dataclass(frozen=True)
class _Taught:
    """What a student learns from a teacher with."""

    examples: Examples
    loss: Any
    batch_teacher: Any


def _teach(
    task: Task,
    rows: Any,
    student: keras.Model,
    assets: Assets,
    teacher: Candidate,
    reporter: Reporter,
) -> _Taught:
    """The examples and the loss of a student; the teacher sees every row, or every batch."""
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.distill import BatchTeacher, SoftTargetExamples
    from aitk.core.inference.predictors import KerasPredictor

    if not isinstance(task, DistillsRows | DistillsBatches):
        raise UsageError(f"models of {task.name} cannot be distilled", where="--distill")
    loss = task.distillation_loss(assets, teacher=teacher.assets)
    larger = load_keras(teacher.path)
    examples = Examples(rows, task, assets)
    if isinstance(task, DistillsBatches):
        return _Taught(examples, loss, BatchTeacher(larger, student, task, assets))
    predictor = KerasPredictor(larger)
    outputs = predict_rows(_each(rows), task, teacher.assets, predictor, batch_size=BATCH)
    soft = SoftTargetExamples(
        examples,
        list(reporter.track(outputs, "teacher outputs", total=len(rows))),
        functools.partial(task.add_soft_targets, assets=assets, teacher=teacher.assets),
    )
    return _Taught(soft, loss, None)


def _prune_vocabulary(candidate: Candidate, further: _Further) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.transformers import without_rows

    task = further.task
    if not isinstance(task, PrunesVocabulary):
        raise UsageError(
            f"models of {task.name} have no vocabulary that can be pruned",
            where="--prune-vocabulary",
        )
    rows = further.data.rows("train")
    assets, count, kept = task.prune_vocabulary(candidate.assets, list(_each(rows)))
    model = without_rows(load_keras(candidate.path), kept, count=count)
    path = further.drafts.model("vocabulary")
    model.save(path)
    further.reporter.note(f"{len(kept):,} of {count:,} units of the vocabulary are left")
    facts = {**candidate.facts, "units_left": len(kept), "parameters": model.count_params()}
    return dataclasses.replace(
        candidate, path=path, assets=assets, facts=facts, step="vocabulary pruned"
    )


def _prune_channels(candidate: Candidate, further: _Further, share: float) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.channels import prune_channels

    model = load_keras(candidate.path)
    before = model.count_params()
    model, removed = prune_channels(model, share=share)
    after = model.count_params()
    further.reporter.note(
        f"{removed:,} channels pruned: {after:,} of {before:,} parameters are left"
    )
    narrow = _train_on(candidate, model, further, "narrow")
    facts = {"channels_removed": removed, "parameters_before": before, "parameters": after}
    facts = {**candidate.facts, **facts}
    return dataclasses.replace(narrow, facts=facts, step="channels pruned")


def _prune_transformer(
    candidate: Candidate, further: _Further, options: CompressOptions
) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.transformers import prune_transformer

    task = further.task
    model = load_keras(candidate.path)
    spec = task.models[candidate.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(f"{candidate.model} has no heads or layers", where="--prune-heads")
    before = model.count_params()
    rows = drawn(further.data.rows("train"), options.calibration_rows)
    rng = np.random.default_rng(further.training.seed)
    batches = [
        task.collate([example], candidate.assets, rng=rng)
        for example in task.encode(rows[:], candidate.assets)
    ]
    further.reporter.note(f"measuring importance on {len(batches)} training rows")
    model, removed = prune_transformer(
        model,
        spec.loss(candidate.assets),
        batches,
        heads=options.prune_heads or 0.0,
        units=options.prune_units or 0.0,
        layers=options.prune_layers or 0.0,
    )
    after = model.count_params()
    further.reporter.note(f"{removed} pruned: {after:,} of {before:,} parameters are left")
    small = _train_on(candidate, model, further, "transformer")
    facts = {f"{name}_removed": count for name, count in removed.counts().items()}
    facts |= {"parameters_before": before, "parameters": after}
    facts = {**candidate.facts, **facts}
    return dataclasses.replace(small, facts=facts, step="transformer pruned")


def _prune(candidate: Candidate, further: _Further, share: float, pattern: str) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.prune import MagnitudePruner, PatternPruner, share_of_zeros

    model = load_keras(candidate.path)
    spec = further.task.models[candidate.model]
    if isinstance(spec, ClosedFormModel):
        if pattern != "any":
            raise UsageError("only trained models are pruned by a pattern", where="--prune-pattern")
        pruned_model = spec.prune(model, share)
        path = further.drafts.model("pruned")
        pruned_model.save(path)
        facts = {"pruned_share": share, "parameters": pruned_model.count_params()}
        facts = {**candidate.facts, **facts}
        return dataclasses.replace(candidate, path=path, facts=facts, step="pruned")
    batch_size = batch_size_of(further.training, spec.settings)
    steps = int(PRUNING_SHARE * math.ceil(len(further.data.rows("train")) / batch_size))
    pruner: Any = MagnitudePruner(model, share=share, steps=steps)
    if pattern != "any":
        pruner = PatternPruner(model, pattern=pattern, steps=steps)
    pruned = _train_on(candidate, model, further, "pruned", pruner=pruner)
    zeros = share_of_zeros(load_keras(pruned.path))
    further.reporter.note(f"{zeros:.1%} of the weights in matrices are zero")
    facts = {**candidate.facts, "zero_share": round(zeros, 6)}
    return dataclasses.replace(pruned, facts=facts, step="pruned")


def _train_on(
    candidate: Candidate,
    model: keras.Model,
    further: _Further,
    name: str,
    *,
    pruner: Any = None,
) -> Candidate:
    """Train a changed candidate as the candidate was trained, or by a teacher as well."""
    task, data, training = further.task, further.data, further.training
    spec = task.models[candidate.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{candidate.model} is fitted in closed form: it cannot be trained further",
            where=f"--{name}",
        )
    rows = data.rows("train")
    if further.teacher:
        taught = _teach(task, rows, model, candidate.assets, further.teacher, further.reporter)
    else:
        examples = Examples(rows, task, candidate.assets)
        taught = _Taught(examples, spec.loss(candidate.assets), None)
    trained = _fit(
        model,
        task,
        candidate.assets,
        data,
        further.drafts,
        name,
        examples=taught.examples,
        loss=taught.loss,
        add_soft_targets=taught.batch_teacher,
        pruner=pruner,
        training=with_defaults(
            training,
            spec.settings,
            rows=epoch_size(taught.examples, task, candidate.assets),
            learning_rate=spec.default_learning_rate(data.summary),
        ),
        reporter=further.reporter,
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
    assets: Assets


def _fit(
    model: keras.Model,
    task: Task,
    assets: Assets,
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
