"""Distillation: a smaller model learns from the outputs of a run, or is made from its encoder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.artifacts.opening import open_file
from aitk.core.contract.capabilities import (
    DistillsBatches,
    DistillsRows,
    DistillsSequences,
    DistillsUnlabelled,
)
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.label_task import LabelDistillation
from aitk.core.contract.model_spec import ONLY_OUTPUT, TrainedModel
from aitk.core.contract.options import as_dict, resolve, unknown_name
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Assets, Example, Task
from aitk.core.inference.prediction import decode_rows, predict_rows
from aitk.core.training.batches import ChangedRows, Examples
from aitk.stages.compressing.steps import BATCH, Candidate, Work, each_row, fit
from aitk.stages.training.defaults import with_defaults

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


def check_distillation(task: Task, model: str, *, sequences: bool) -> TrainedModel[Any, Any]:
    """The specification of a student.

    Raises:
        UsageError: the task has no such model, or it cannot learn from another one.
    """
    if model not in task.models:
        raise unknown_name(model, task.models, what="model")
    spec = task.models[model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(
            f"{model} is fitted in closed form and cannot be a student", where="--distill"
        )
    if sequences and not isinstance(task, DistillsSequences):
        raise UsageError(f"models of {task.name} write no texts", where="--distill-sequences")
    if not _learns_outputs(task, sequences=False) and not spec.distils_backbone:
        raise UsageError(
            f"models of {task.name} cannot be distilled",
            where="--distill",
            hint="Train the smaller model on the data itself, or try --quantize int8",
        )
    return spec


def check_unlabelled(task: Task) -> None:
    """Raise ``UsageError`` for a task whose students cannot use rows without labels."""
    if not isinstance(task, DistillsUnlabelled | DistillsSequences):
        raise UsageError(
            f"a student of {task.name} learns nothing from rows without labels",
            where="--unlabelled",
        )


def distil(
    teacher: Candidate, run: str, work: Work, model: str, settings: Mapping[str, Any]
) -> Candidate:
    """Train another model of the task on the outputs of the teacher.

    Args:
        run: folder of the teacher, from whose encoder some models are computed.
        settings: of the model.
    """
    task, data, training = work.task, work.data, work.training
    spec = task.models[model]
    if not isinstance(spec, TrainedModel):
        raise UsageError(f"{model} cannot be distilled", where="--distill")
    start = _start(task, spec, model, training.from_ or run, given=training.from_ is not None)
    chosen: Any = resolve(spec.settings, start.settings if start else {}, settings, where="setting")
    rows = data.rows("train")
    assets = task.learn(
        rows,
        data.summary,
        chosen,
        start=start,
        balance=training.balance,
        tables=data.tables,
        note=work.reporter.warn,
    )
    student = spec.build(chosen, assets, backbone=start.backbone if start else None)
    if start:
        for line in spec.fill(start, student, assets).report():
            work.reporter.note(line)
    if _learns_outputs(task, sequences=work.sequences):
        taught = teach(work, student, assets, teacher, loss=spec.loss(assets))
    else:
        taught = Taught(Examples(rows, task, assets), spec.loss(assets), {})
    trained = fit(
        student,
        work,
        assets,
        "distilled",
        examples=taught.examples,
        loss=taught.loss,
        add_soft_targets=taught.batch_teacher,
        trained_as=taught.student,
        training=with_defaults(training, chosen, rows=len(taught.examples)),
    )
    facts = {"distilled_from": teacher.model, **taught.facts}
    facts |= {"parameters": student.count_params()}
    return Candidate(
        trained.path, model, as_dict(chosen), trained.assets, trained.history, facts, "distilled"
    )


def _start(
    task: Task, spec: TrainedModel[Any, Any], model: str, source: str, *, given: bool
) -> Pretrained | None:
    """The weights that a student starts from, if any."""
    if not given and not spec.distils_backbone:
        return None
    from aitk.core.artifacts.pretrained import load_pretrained

    return load_pretrained(source, model=model, task=task)


def _learns_outputs(task: Task, *, sequences: bool) -> bool:
    kinds = DistillsSequences if sequences else DistillsRows | DistillsBatches | DistillsSequences
    return isinstance(task, kinds)


@dataclasses.dataclass(frozen=True)
class Taught:
    """What a student learns from a teacher with.

    Attributes:
        facts: recorded in the run.
        student: the model to train, with outputs for the features; None for the student itself.
    """

    examples: Examples
    loss: Any
    facts: Mapping[str, Any]
    batch_teacher: Any = None
    student: keras.Model | None = None


def teach(
    work: Work, student: keras.Model, assets: Assets, teacher: Candidate, *, loss: Any
) -> Taught:
    """The examples and the loss of a student; the teacher sees every row, or every batch.

    Args:
        loss: of the student's model, for the texts that a teacher writes.
    """
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.distill import (
        BatchTeacher,
        RowFeatures,
        SoftTargetExamples,
        UnlabelledExamples,
        facts_of,
    )
    from aitk.core.compression.hidden import (
        FEATURES,
        features_of,
        losses_with_hidden,
        with_features,
        with_projection,
    )
    from aitk.core.inference.predictors import KerasPredictor

    task, rows = work.task, work.rows
    facts: dict[str, Any] = {}
    if len(rows) > work.labelled:
        facts = {"unlabelled_rows": len(rows) - work.labelled}
    if isinstance(task, DistillsSequences) and (
        work.sequences or not isinstance(task, DistillsRows)
    ):
        predictor = open_file(task.models[teacher.model], teacher.path)
        written = decode_rows(
            each_row(rows), task, teacher.assets, predictor, batch_size=BATCH, top_k=1
        )
        predictions = list(work.reporter.track(written, "teacher texts", total=len(rows)))
        changed = ChangedRows(rows, predictions, task.with_prediction)
        return Taught(Examples(changed, task, assets), loss, facts | {"learned": "teacher texts"})
    if not isinstance(task, DistillsRows | DistillsBatches):
        raise UsageError(f"models of {task.name} cannot be distilled", where="--distill")
    larger = load_keras(teacher.path)
    loss = task.distillation_loss(assets, teacher=teacher.assets)
    facts |= facts_of(loss)
    examples = Examples(rows, task, assets)
    if isinstance(task, DistillsUnlabelled) and len(rows) > work.labelled:
        only = functools.partial(task.teacher_only, assets=assets)
        examples = UnlabelledExamples(examples, work.labelled, only)
    joint, shown = None, larger
    if work.hidden is not None:
        shown, joint = with_features(larger), with_projection(student, features_of(larger))
        loss = losses_with_hidden(loss, work.hidden)
        facts |= {"hidden_weight": work.hidden}
    if isinstance(task, DistillsBatches):
        batch_teacher: Any = BatchTeacher(shown, student, task, assets)
        if joint is not None:
            if FEATURES not in batch_teacher.model.output:
                raise UsageError(f"does not suit {task.name}", where="--distill-hidden")
            batch_teacher = batch_teacher.with_features
        return Taught(examples, loss, facts, batch_teacher, joint)
    if joint is not None and not (
        isinstance(task, LabelDistillation) and len(features_of(larger).shape) == 2
    ):
        raise UsageError(
            f"models of {task.name} have no vector of the whole row", where="--distill-hidden"
        )
    outputs = predict_rows(
        each_row(rows), task, teacher.assets, KerasPredictor(shown), batch_size=BATCH
    )
    add: Any = functools.partial(task.add_soft_targets, assets=assets, teacher=teacher.assets)
    soft = SoftTargetExamples(
        examples,
        list(work.reporter.track(outputs, "teacher outputs", total=len(rows))),
        add if joint is None else functools.partial(_with_row_features, add=add),
    )
    row_features = None if joint is None else RowFeatures(features_of(larger).shape[-1])
    return Taught(soft, loss, facts, row_features, joint)


def _with_row_features(
    example: Example, outputs: Mapping[str, Any], *, add: Callable[[Example, Any], Example]
) -> Example:
    """An example whose target is followed by the teacher's features of its row."""
    from aitk.core.compression.hidden import FEATURES

    soft = add(example, outputs[ONLY_OUTPUT])
    return dataclasses.replace(soft, target=np.append(soft.target, outputs[FEATURES]))


def read_unlabelled(
    source: str, task: Task, reading: Any, reporter: Reporter
) -> list[Mapping[str, Any]]:
    """Rows of a file or folder as ``predict`` reads them, kept in memory.

    Raises:
        DataError: there is no usable row.
    """
    rows, refused = [], []
    for item in task.read([source], reading, labelled=False, note=reporter.note):
        if isinstance(item, Refusal):
            refused.append(item)
        else:
            rows.append(item.fields)
    if not rows:
        reason = f": {refused[0].reason}" if refused else ""
        raise DataError(f"no row without labels can be used{reason}", where=source)
    if refused:
        first = f"{refused[0].where}: {refused[0].reason}"
        reporter.warn(f"{len(refused):,} rows of --unlabelled are not used; the first: {first}")
    return rows
