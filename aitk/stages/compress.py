"""``compress``: make a run smaller and faster, and measure what that costs.

In this order, as far as asked: a smaller model is taught by the run, its small weights are set
to zero, and the result is stored in fewer bits and another format.
"""

from __future__ import annotations

import dataclasses
import gzip
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.batches import Examples, predict_rows
from aitk.core.data import PreparedData, load_data
from aitk.core.errors import ArtifactError, Interrupted, UsageError
from aitk.core.evaluation import Evaluated, evaluate_rows
from aitk.core.export import choose_format, export_model
from aitk.core.files import check_free
from aitk.core.latency import Latency, measure_latency
from aitk.core.options import as_dict, resolve, unknown_name
from aitk.core.outcome import Outcome
from aitk.core.progress import Reporter
from aitk.core.run import Run, load_run, new_run
from aitk.core.runtime import Predictor, open_predictor
from aitk.core.task import Task
from aitk.core.versions import package_versions
from aitk.stages.evaluate import open_run, refresh_pages
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.train_run import (
    check_settings,
    measured_cost,
    require_float_run,
    with_defaults,
    write_history,
)
from aitk.tasks import load_task

if TYPE_CHECKING:
    import keras

BATCH = 32
TIMED_ROWS = 640
COMPARED_ROWS = 512
#: Share of the first epoch over which pruning sets weights to zero; the rest mends.
PRUNING_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class Measured:
    """One side of the comparison."""

    bytes: int
    evaluated: Evaluated
    outputs: np.ndarray
    one: Latency
    batch: Latency

    def line(self, name: str, metric: str) -> dict[str, Any]:
        """Its line of the table."""
        score = self.evaluated.evaluation.metrics[metric]
        return {
            "run": name,
            "MB": round(self.bytes / 1e6, 3),
            metric: round(score.value, 4),
            "low": score.low,
            "high": score.high,
            "1 row, ms": round(self.one.median_ms, 3),
            "1 row, p95": round(self.one.p95_ms, 3),
            f"{BATCH} rows, ms": round(self.batch.median_ms, 3),
            f"{BATCH} rows, p95": round(self.batch.p95_ms, 3),
        }


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model on its way to being smaller: a ``.keras`` file and what goes with it."""

    path: Path
    model: str
    settings: Mapping[str, Any]
    assets: Any
    history: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def compress(
    run: Path,
    out: Path,
    *,
    domain: str | None = None,
    options: CompressOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Write a smaller run, with a table of both.

    Args:
        training: how to train for ``distill`` and ``prune``.
        settings: of the model that ``distill`` names.

    Raises:
        UsageError: nothing was asked for, or what cannot go together.
        ArtifactError: the run's data is gone, or its model cannot be converted.
    """
    old = open_run(run, domain=domain)
    require_float_run(old, "compressed")
    task = load_task(old.task)
    format = _check(old, task, options, settings)
    check_free(out, overwrite=overwrite)
    data = _own_data(old)
    split = data.held_out(options.split)
    rows = data.rows(split)
    with new_run(out, overwrite=overwrite) as draft, measured_cost() as cost:
        with tempfile.TemporaryDirectory(prefix="aitk-compress-") as folder:
            candidate = _train(
                old, task, data, Path(folder), options, training, settings, reporter
            )
            candidate.assets.save(draft.assets)
            target = draft.model_path(format)
            arithmetic = "float32"
            if format == "keras":
                shutil.copyfile(candidate.path, target)
            else:
                reporter.note(f"converting to {format}")
                arithmetic = export_model(
                    candidate.path,
                    target,
                    format=format,
                    quantize=options.quantize,
                    calibration=_calibration(task, data, candidate.assets, options),
                )["arithmetic"]
        manifest = {
            **{key: value for key, value in old.manifest.items() if key not in ("version", "aitk")},
            "model": candidate.model,
            "settings": dict(candidate.settings),
            "options": as_dict(options),
            "format": format,
            "parent": str(old.folder.resolve()),
            "packages": package_versions(),
        }
        reporter.note("measuring before and after")
        new = Run(draft.folder, manifest)
        before, after = (
            _measure(each, task, rows, options, reporter) for each in (old, new)
        )
        comparison = _compare(task, before, after)
        comparison |= {"split": split, "arithmetic": arithmetic} | dict(candidate.facts)
        if options.prune:
            comparison["gzip_bytes"] = gzip_size(new.model_path)
        table = [
            before.line("before", task.main_metric),
            after.line("after", task.main_metric),
        ]
        write_history(draft, candidate.history)
        draft.finish(manifest | cost() | {"compression": comparison | {"table": table}})
    written = load_run(out)
    result = after.evaluated.result(
        data={"folder": str(data.folder), "fingerprint": data.fingerprint, "split": split},
        resamples=options.resamples,
        seed=training.seed,
    )
    written.add_evaluation(split, result, after.evaluated.rows)
    refresh_pages(written)
    name = task.name.partition(".")[0]
    return Outcome(
        facts={"run": str(out), "format": format, **comparison, "report": str(out / "report.html")},
        table=table,
        missed=_missed(task, comparison["drop"], options.max_drop),
        next=f"aitk {name} predict {out} INPUT --out FILE",
    )


def gzip_size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder, after gzip: what zeros save in transport."""
    size = 0
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            size += len(gzip.compress(file.read_bytes(), 6, mtime=0))
    return size


def _check(
    run: Run, task: Task, options: CompressOptions, settings: Mapping[str, Any]
) -> str:
    """Refuse what cannot be, before anything heavy starts; the format to write."""
    if options.distill is not None:
        if options.distill not in task.models:
            raise unknown_name(options.distill, task.models, what="model")
        check_settings(task, options.distill, settings)
    elif settings:
        raise UsageError("only the model of --distill takes settings", where="--set")
    format = choose_format(options.format, options.quantize)
    if format == run.format and not (options.distill or options.prune):
        raise UsageError(
            "nothing to do", where=str(run.folder), hint="Try --quantize int8, --prune or --distill"
        )
    return format


def _own_data(run: Run) -> PreparedData:
    if run.data is None:
        raise ArtifactError(
            f"its data {run.manifest['data']['folder']} is gone, so nothing can be measured",
            where=str(run.folder),
            hint="Prepare the data again in that folder",
        )
    data = load_data(run.data)
    if data.fingerprint != run.manifest["data"]["fingerprint"]:
        raise ArtifactError(
            f"its data {data.folder} has changed since training", where=str(run.folder)
        )
    return data


def _train(
    run: Run,
    task: Task,
    data: PreparedData,
    folder: Path,
    options: CompressOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    reporter: Reporter,
) -> Candidate:
    """Distil and prune, as far as asked."""
    candidate = Candidate(
        run.model_path, run.model, run.settings, task.load_assets(run.assets), run.history
    )
    if not (options.distill or options.prune):
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
            if options.prune:
                candidate = _prune(
                    candidate, task, data, folder, options.prune, training, reporter
                )
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
    from aitk.core.distill import TEACHER_SHARE, TEMPERATURE, DistillationLoss, TaughtExamples
    from aitk.core.keras_file import load_keras
    from aitk.core.runtime import KerasPredictor

    rows = data.rows("train")
    predictor = KerasPredictor(load_keras(teacher.path))
    answers = predict_rows(_each(rows), task, teacher.assets, predictor, batch_size=BATCH)
    logits = np.stack(list(reporter.track(answers, "asking the teacher", total=len(rows))))
    chosen = resolve(task.models[model], settings, where="setting")
    assets = task.learn(rows, data.summary, chosen, balance=training.balance)
    student = task.build(model, chosen, assets)
    trained = _fit(
        student,
        task,
        assets,
        data,
        folder / "distilled.keras",
        examples=TaughtExamples(Examples(rows, task, assets, reporter=reporter), logits),
        loss=DistillationLoss(),
        training=with_defaults(training, chosen, rows=len(rows)),
        reporter=reporter,
    )
    facts = {
        "distilled_from": teacher.model,
        "temperature": TEMPERATURE,
        "teacher_share": TEACHER_SHARE,
        "parameters": student.count_params(),
    }
    return Candidate(trained.path, model, as_dict(chosen), assets, trained.history, facts)


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
    examples = Examples(data.rows("train"), task, candidate.assets, reporter=reporter)
    steps = math.ceil(len(examples) / training.batch_size)
    pruned = _fit(
        model,
        task,
        candidate.assets,
        data,
        folder / "pruned.keras",
        examples=examples,
        pruner=MagnitudePruner(model, share=share, steps=int(PRUNING_SHARE * steps)),
        training=with_defaults(
            training, task.models[candidate.model], rows=len(examples)
        ),
        reporter=reporter,
    )
    zeros = share_of_zeros(load_keras(pruned.path))
    reporter.note(f"{zeros:.1%} of the weights in matrices are zero")
    return dataclasses.replace(
        candidate,
        path=pruned.path,
        history=pruned.history,
        facts={**candidate.facts, "zero_share": round(zeros, 6)},
    )


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
        after_step=pruner,
    )
    trained.model.save(path)
    return _Fitted(path, trained.history)


def _calibration(
    task: Task, data: PreparedData, assets: Any, options: CompressOptions
) -> list[dict[str, np.ndarray]]:
    """Batches of training rows, drawn at random and padded to one shape."""
    if options.quantize != "int8":
        return []
    rows = data.rows("train")
    count = min(options.calibration_rows, len(rows))
    drawn = np.random.default_rng(0).permutation(len(rows))[:count]
    examples = task.encode_many(rows.take(drawn), assets)
    longest = max(task.length(example) for example in examples)
    size = min(BATCH, count)
    return [
        task.collate(examples[start : start + size], assets, pad_to=longest).inputs
        for start in range(0, count - size + 1, size)
    ]


def _measure(
    run: Run,
    task: Task,
    rows: Any,
    options: CompressOptions,
    reporter: Reporter,
) -> Measured:
    predictor, assets = open_predictor(run), task.load_assets(run.assets)
    evaluated = evaluate_rows(
        rows, task, assets, predictor, reporter=reporter, resamples=options.resamples
    )
    few = rows[:COMPARED_ROWS]
    outputs = list(predict_rows(few, task, assets, predictor, batch_size=BATCH))
    return Measured(
        bytes=run.model_bytes(),
        evaluated=evaluated,
        outputs=np.concatenate([output.ravel() for output in outputs]),
        one=_latency(predictor, task, assets, rows, size=1),
        batch=_latency(predictor, task, assets, rows, size=BATCH),
    )


def _latency(predictor: Predictor, task: Task, assets: Any, rows: Any, *, size: int) -> Latency:
    """Time batches of rows of near-equal length, as ``predict`` makes them."""
    examples = task.encode_many(rows[:TIMED_ROWS], assets)
    examples.sort(key=task.length)
    batches = [
        task.collate(examples[start : start + size], assets).inputs
        for start in range(0, max(1, len(examples) - size + 1), max(size, len(examples) // 100))
    ]
    return measure_latency(predictor, batches)


def _compare(task: Task, before: Measured, after: Measured) -> dict[str, Any]:
    """What changed: size, score, speed, answers."""
    scores = [side.evaluated.evaluation.metrics[task.main_metric].value for side in (before, after)]
    answers = [
        [row["prediction"].get("prediction") for row in side.evaluated.rows]
        for side in (before, after)
    ]
    same = [old == new for old, new in zip(*answers, strict=True)]
    comparison = {
        "drop": (scores[0] - scores[1]) * (1 if task.higher_is_better else -1),
        "times_smaller": round(before.bytes / after.bytes, 2),
        "times_faster": round(before.batch.median_ms / after.batch.median_ms, 2),
        "same_answers": round(sum(same) / len(same), 4),
    }
    if before.outputs.shape == after.outputs.shape:
        difference = np.abs(before.outputs - after.outputs).max()
        comparison["largest_difference"] = float(difference)
    return comparison


def _missed(task: Task, drop: float, accepted: float | None) -> str | None:
    if accepted is None or drop <= accepted:
        return None
    return f"{task.main_metric} is worse by {drop:.4f}, more than --max-drop {accepted:g}"


def _each(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Every row in order; a sequence read in blocks is iterated by number."""
    return (rows[index] for index in range(len(rows)))
