"""Training towards a smaller model: a student taught by a run, channels taken out, small weights
set to zero."""

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
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.io.files import fingerprint
from aitk.core.training.batches import Examples, predict_rows
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.train_run import batch_size_of, deciding, with_defaults

if TYPE_CHECKING:
    import keras

BATCH = 32
#: Share of the first epoch over which pruning sets weights to zero; the rest mends.
PRUNING_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model on its way to being smaller: a ``.keras`` file and what goes with it."""

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
    """Distil, take channels out and prune, as far as asked, each followed by training.

    Args:
        folder: for what is made on the way; a training goes on from the state that is there.
    """
    candidate = Candidate(
        run.model_path, run.model, run.settings, open_assets(task, run), run.history
    )
    if not (options.distill or options.prune_channels or options.prune):
        return candidate
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
    from aitk.core.compression.distill import BatchTeacher, TaughtExamples, facts_of
    from aitk.core.inference.predictors import KerasPredictor

    rows = data.rows("train")
    chosen: Any = resolve(task.models[model], settings, where="setting")
    assets = task.learn(rows, data.summary, chosen, balance=training.balance, tables=data.tables)
    loss = task.taught_objective(assets, teacher=teacher.assets)
    student = task.build(model, chosen, assets)
    larger = load_keras(teacher.path)
    examples: Examples
    teach = None
    if task.asks_each_batch:
        teach = BatchTeacher(larger, student, task, assets)
        examples = Examples(rows, task, assets, reporter=reporter)
    else:
        predictor = KerasPredictor(larger)
        answers = predict_rows(_each(rows), task, teacher.assets, predictor, batch_size=BATCH)
        taught = list(reporter.track(answers, "asking the teacher", total=len(rows)))
        examples = TaughtExamples(
            Examples(rows, task, assets, reporter=reporter),
            taught,
            functools.partial(task.teach, assets=assets, teacher=teacher.assets),
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
        teach=teach,
        training=with_defaults(training, chosen, rows=len(rows)),
        reporter=reporter,
    )
    facts = {
        "distilled_from": teacher.model,
        **facts_of(loss),
        "parameters": student.count_params(),
    }
    return Candidate(trained.path, model, as_dict(chosen), assets, trained.history, facts)


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
    reporter.note(f"{removed:,} channels taken out: {after:,} of {before:,} parameters are left")
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
    if (solved := task.prune(model, share)) is not None:
        path = drafts.model("pruned")
        solved.save(path)
        facts = {**candidate.facts, "pruned_share": share, "parameters": solved.count_params()}
        return dataclasses.replace(candidate, path=path, facts=facts)
    batch_size = batch_size_of(training, task.models[candidate.model])
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
    reporter.note(f"{zeros:.1%} of the weights in matrices are zero")
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
    """Train what was made of a candidate, as the candidate was trained."""
    examples = Examples(data.rows("train"), task, candidate.assets, reporter=reporter)
    trained = _fit(
        model,
        task,
        candidate.assets,
        data,
        drafts,
        name,
        examples=examples,
        pruner=pruner,
        training=with_defaults(training, task.models[candidate.model], rows=len(examples)),
        reporter=reporter,
    )
    return dataclasses.replace(candidate, path=trained.path, history=trained.history)


@dataclasses.dataclass(frozen=True)
class _Drafts:
    """Where models and the states of their trainings are kept on the way.

    Attributes:
        identity: names everything that decides their weights.
    """

    folder: Path
    identity: str

    def model(self, name: str) -> Path:
        return self.folder / f"{name}.keras"


@dataclasses.dataclass(frozen=True)
class _Fitted:
    path: Path
    history: Sequence[Mapping[str, Any]]


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
    loss: Any = None,
    teach: Any = None,
    pruner: Any = None,
    reporter: Reporter,
) -> _Fitted:
    """Train a model and save its best epoch."""
    from aitk.core.training.loop import train

    validation = None
    if "validation" in data.splits:
        validation = Examples(data.rows("validation"), task, assets, reporter=reporter)
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
        teach=teach,
        pruner=pruner,
    )
    path = drafts.model(name)
    trained.model.save(path)
    return _Fitted(path, trained.history)


def _each(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by number."""
    return (rows[index] for index in range(len(rows)))
