"""Training towards a smaller model: distillation, pruning of parts, pruning of weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import open_assets, open_reading
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import PrunesVocabulary
from aitk.core.contract.errors import UsageError
from aitk.core.contract.model_spec import ClosedFormModel, TrainedModel
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.io.files import described, fingerprint
from aitk.core.runtime.startup import start_keras
from aitk.core.training.batches import Examples, JoinedRows, drawn
from aitk.core.training.packing import epoch_size
from aitk.stages.compressing.distilling import Taught, distil, read_unlabelled, teach
from aitk.stages.compressing.steps import Candidate, Drafts, Work, each_row, fit
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.training.defaults import batch_size_of, deciding, with_defaults

if TYPE_CHECKING:
    import keras

#: Share of the first epoch over which pruning sets weights to zero; the rest recovers the score.
PRUNING_SHARE = 0.6
#: Learning rate of quantisation-aware training, relative to that of the model: the weights are good
#: already, and only have to move by a rounding.
QAT_RATE = 0.1
#: The options that take parts out of a transformer.
TRANSFORMER_PARTS = ("prune_heads", "prune_units", "prune_layers")


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

    made: dict[str, Any] = {
        "distill": options.distill,
        "channels": options.prune_channels,
        "prune": options.prune,
    }
    made |= {name: each for name in TRANSFORMER_PARTS if (each := getattr(options, name))}
    if options.prune and options.prune_pattern != "any":
        made["pattern"] = options.prune_pattern
    teacher = candidate if options.distill_pruned else None
    made |= {"teacher": True} if teacher else {}
    made |= {"vocabulary": True} if options.prune_vocabulary else {}
    made |= {"qat": options.qat} if options.qat else {}
    made |= {"hidden": options.distill_hidden} if options.distill_hidden else {}
    made |= {"sequences": True} if options.distill_sequences else {}
    rows: Any = data.rows("train")
    labelled = len(rows)
    if options.unlabelled:
        made |= {"unlabelled": described(Path(options.unlabelled))}
        more = read_unlabelled(options.unlabelled, task, open_reading(task, run), reporter)
        reporter.note(f"{len(more):,} rows without labels")
        rows = JoinedRows(rows, more)
    folder.mkdir(exist_ok=True)
    drafts = Drafts(
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
        sequences = options.distill_sequences
        hidden = options.distill_hidden
        work = Work(task, data, rows, labelled, drafts, training, sequences, hidden, reporter)
        if options.distill:
            steps.append(distil(candidate, str(run.folder), work, options.distill, settings))
        further = _Further(work, teacher)
        if options.prune_vocabulary:
            steps.append(_prune_vocabulary(steps[-1], further))
        if options.prune_channels:
            steps.append(_prune_channels(steps[-1], further, options.prune_channels))
        if any(getattr(options, name) for name in TRANSFORMER_PARTS):
            steps.append(_prune_transformer(steps[-1], further, options))
        if options.prune:
            steps.append(_prune(steps[-1], further, options.prune, options.prune_pattern))
        if options.qat:
            steps.append(
                _train_rounded(steps[-1], further, options.qat, zeros_stay=bool(options.prune))
            )
    return steps


def trains(options: CompressOptions) -> bool:
    """Whether the options ask for more than another file format."""
    names = ("distill", "prune_vocabulary", "prune_channels", "prune", "qat", *TRANSFORMER_PARTS)
    return any(getattr(options, name) for name in names)


@dataclasses.dataclass(frozen=True)
class _Further:
    """How pruned models are trained further.

    Attributes:
        teacher: whose outputs they also learn from.
    """

    work: Work
    teacher: Candidate | None


def _prune_vocabulary(candidate: Candidate, further: _Further) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.vocabulary import without_rows

    task = further.work.task
    if not isinstance(task, PrunesVocabulary):
        raise UsageError(
            f"models of {task.name} have no vocabulary that can be pruned",
            where="--prune-vocabulary",
        )
    rows = further.work.data.rows("train")
    assets, count, kept = task.prune_vocabulary(candidate.assets, list(each_row(rows)))
    model = without_rows(load_keras(candidate.path), kept, count=count)
    path = further.work.drafts.model("vocabulary")
    model.save(path)
    further.work.reporter.note(f"{len(kept):,} of {count:,} units of the vocabulary are left")
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
    further.work.reporter.note(
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

    task = further.work.task
    model = load_keras(candidate.path)
    spec = task.models[candidate.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(f"{candidate.model} has no heads or layers", where="--prune-heads")
    before = model.count_params()
    rows = drawn(further.work.data.rows("train"), options.calibration_rows)
    rng = np.random.default_rng(further.work.training.seed)
    batches = [
        task.collate([example], candidate.assets, rng=rng)
        for example in task.encode(rows[:], candidate.assets)
    ]
    further.work.reporter.note(f"measuring importance on {len(batches)} training rows")
    model, removed = prune_transformer(
        model,
        spec.loss(candidate.assets),
        batches,
        heads=options.prune_heads or 0.0,
        units=options.prune_units or 0.0,
        layers=options.prune_layers or 0.0,
    )
    after = model.count_params()
    further.work.reporter.note(f"{removed} pruned: {after:,} of {before:,} parameters are left")
    small = _train_on(candidate, model, further, "transformer")
    facts = {f"{name}_removed": count for name, count in removed.counts().items()}
    facts |= {"parameters_before": before, "parameters": after}
    facts = {**candidate.facts, **facts}
    return dataclasses.replace(small, facts=facts, step="transformer pruned")


def _prune(candidate: Candidate, further: _Further, share: float, pattern: str) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.prune import MagnitudePruner, PatternPruner, share_of_zeros

    model = load_keras(candidate.path)
    spec = further.work.task.models[candidate.model]
    if isinstance(spec, ClosedFormModel):
        if pattern != "any":
            raise UsageError("only trained models are pruned by a pattern", where="--prune-pattern")
        pruned_model = spec.prune(model, share)
        path = further.work.drafts.model("pruned")
        pruned_model.save(path)
        facts = {"pruned_share": share, "parameters": pruned_model.count_params()}
        facts = {**candidate.facts, **facts}
        return dataclasses.replace(candidate, path=path, facts=facts, step="pruned")
    batch_size = batch_size_of(further.work.training, spec.settings)
    steps = int(PRUNING_SHARE * math.ceil(len(further.work.data.rows("train")) / batch_size))
    pruner: Any = MagnitudePruner(model, share=share, steps=steps)
    if pattern != "any":
        pruner = PatternPruner(model, pattern=pattern, steps=steps)
    pruned = _train_on(candidate, model, further, "pruned", pruner=pruner)
    zeros = share_of_zeros(load_keras(pruned.path))
    further.work.reporter.note(f"{zeros:.1%} of the weights in matrices are zero")
    facts = {**candidate.facts, "zero_share": round(zeros, 6)}
    return dataclasses.replace(pruned, facts=facts, step="pruned")


def _train_rounded(
    candidate: Candidate, further: _Further, epochs: int, *, zeros_stay: bool
) -> Candidate:
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.fake_quantization import KernelRounding, with_fake_quantization

    model = with_fake_quantization(load_keras(candidate.path))
    spec = further.work.task.models[candidate.model]
    rate = further.work.training.learning_rate
    if rate is None and isinstance(spec, TrainedModel):
        rate = QAT_RATE * spec.default_learning_rate(further.work.data.summary)
    training = dataclasses.replace(further.work.training, epochs=epochs, learning_rate=rate)
    slower = dataclasses.replace(further, work=dataclasses.replace(further.work, training=training))
    rounding = KernelRounding(model, zeros_stay=zeros_stay)
    rounded = _train_on(candidate, model, slower, "qat", pruner=rounding)
    return dataclasses.replace(
        rounded, facts={**candidate.facts, "qat_epochs": epochs}, step="trained for int8"
    )


def _train_on(
    candidate: Candidate,
    model: keras.Model,
    further: _Further,
    name: str,
    *,
    pruner: Any = None,
) -> Candidate:
    """Train a changed candidate as the candidate was trained, or by a teacher as well."""
    work = further.work
    spec = work.task.models[candidate.model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{candidate.model} is fitted in closed form: it cannot be trained further",
            where=f"--{name}",
        )
    if further.teacher:
        loss = spec.loss(candidate.assets)
        taught = teach(work, model, candidate.assets, further.teacher, loss=loss)
    else:
        examples = Examples(work.data.rows("train"), work.task, candidate.assets)
        taught = Taught(examples, spec.loss(candidate.assets), {})
    trained = fit(
        model,
        work,
        candidate.assets,
        name,
        examples=taught.examples,
        loss=taught.loss,
        add_soft_targets=taught.batch_teacher,
        trained_as=taught.student,
        pruner=pruner,
        training=with_defaults(
            work.training,
            spec.settings,
            rows=epoch_size(taught.examples, work.task, candidate.assets),
            learning_rate=spec.default_learning_rate(work.data.summary),
        ),
    )
    return dataclasses.replace(
        candidate, path=trained.path, history=trained.history, assets=trained.assets
    )
