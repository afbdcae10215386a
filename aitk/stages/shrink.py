"""Training towards a smaller model: a student taught by a run, channels taken out, small weights
set to zero."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.batches import Examples, predict_rows
from aitk.core.data import PreparedData
from aitk.core.errors import Interrupted
from aitk.core.options import as_dict, resolve
from aitk.core.progress import Reporter
from aitk.core.run import Run
from aitk.core.task import Task
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.train_run import batch_size_of, with_defaults

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
    """Distil, take channels out and prune, as far as asked, each followed by training."""
    candidate = Candidate(
        run.model_path, run.model, run.settings, task.load_assets(run.assets), run.history
    )
    if not (options.distill or options.prune_channels or options.prune):
        return candidate
    from aitk.core.devices import set_up_training

    with set_up_training(
        seed=training.seed, precision=training.precision, devices=training.devices
    ):
        try:
            if options.distill:
                candidate = _distill(
                    candidate, task, data, folder, options.distill, training, settings, reporter
                )
            if options.prune_channels:
                candidate = _prune_channels(
                    candidate, task, data, folder, options.prune_channels, training, reporter
                )
            if options.prune:
                candidate = _prune(candidate, task, data, folder, options.prune, training, reporter)
        except Interrupted as error:
            raise Interrupted("interrupted: nothing was written") from error
    return candidate


def _distill(
    teacher: Candidate,
    task: Task,
    data: PreparedData,
    folder: Path,
    model: str,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> Candidate:
    from aitk.core.distill import BatchTeacher, TaughtExamples, facts_of
    from aitk.core.keras_file import load_keras
    from aitk.core.runtime import KerasPredictor

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
        folder / "distilled.keras",
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
    folder: Path,
    share: float,
    training: TrainingOptions,
    reporter: Reporter,
) -> Candidate:
    from aitk.core.channels import prune_channels
    from aitk.core.keras_file import load_keras

    model = load_keras(candidate.path)
    before = model.count_params()
    model, removed = prune_channels(model, share=share)
    after = model.count_params()
    reporter.note(f"{removed:,} channels taken out: {after:,} of {before:,} parameters are left")
    narrow = _train_on(
        candidate, model, task, data, folder / "narrow.keras", training=training, reporter=reporter
    )
    facts = {"channels_removed": removed, "parameters_before": before, "parameters": after}
    return dataclasses.replace(narrow, facts={**candidate.facts, **facts})


def _prune(
    candidate: Candidate,
    task: Task,
    data: PreparedData,
    folder: Path,
    share: float,
    training: TrainingOptions,
    reporter: Reporter,
) -> Candidate:
    from aitk.core.keras_file import load_keras
    from aitk.core.prune import MagnitudePruner, share_of_zeros

    model = load_keras(candidate.path)
    if (solved := task.prune(model, share)) is not None:
        path = folder / "pruned.keras"
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
        folder / "pruned.keras",
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
    path: Path,
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
        path,
        examples=examples,
        pruner=pruner,
        training=with_defaults(training, task.models[candidate.model], rows=len(examples)),
        reporter=reporter,
    )
    return dataclasses.replace(candidate, path=trained.path, history=trained.history)


@dataclasses.dataclass(frozen=True)
class _Fitted:
    path: Path
    history: Sequence[Mapping[str, Any]]


def _fit(
    model: keras.Model,
    task: Task,
    assets: Any,
    data: PreparedData,
    path: Path,
    *,
    examples: Examples,
    training: TrainingOptions,
    loss: Any = None,
    teach: Any = None,
    pruner: Any = None,
    reporter: Reporter,
) -> _Fitted:
    """Train a model and save its best epoch."""
    from aitk.core.training import train

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
        state=path.with_suffix(".state"),
        identity=path.name,
        reporter=reporter,
        loss=loss,
        teach=teach,
        pruner=pruner,
    )
    trained.model.save(path)
    return _Fitted(path, trained.history)


def _each(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by number."""
    return (rows[index] for index in range(len(rows)))
