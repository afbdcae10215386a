"""``compress``: make a run smaller and faster, and measure the cost in quality.

In this order, as the options say: distillation into a smaller model, pruning of channels, of a
transformer's parts and of single weights, quantisation and conversion to another format.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.keras_file import load_keras
from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.artifacts.run_layout import EXECUTABLE, MODEL_FILES
from aitk.core.compression.export import choose_format, converter
from aitk.core.compression.multiply_adds import count_multiply_adds
from aitk.core.compression.schemes import CALIBRATED
from aitk.core.compression.signatures import read_signature
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import ONLY_OUTPUT
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.metrics.comparison import (
    COMPARED_ROWS,
    Measured,
    compare_runs,
    largest_difference,
    measure_run,
    one_row,
)
from aitk.core.metrics.statistics import Drop
from aitk.core.runtime.versions import package_versions
from aitk.registry import load_task
from aitk.stages.compressing.distilling import check_distillation, check_unlabelled
from aitk.stages.compressing.shrink import TRANSFORMER_PARTS, train_smaller, trains
from aitk.stages.compressing.steps import Candidate
from aitk.stages.compressing.store import store
from aitk.stages.evaluate import refresh_pages
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.privacy.private import refuse_private, without_guarantee
from aitk.stages.training.defaults import check_settings
from aitk.stages.training.records import measured_cost, write_history
from aitk.stages.training.run_data import data_of, require_float_run

#: The share of zeros that ``--prune-pattern 2:4`` means.
PATTERN_SHARE = 0.5


def compress(
    run: Path,
    out: Path,
    *,
    domain: str | None = None,
    options: CompressOptions,
    training: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Write a smaller run, and compare it with the original.

    Args:
        training: how to train for ``distill`` and after pruning.
        settings: of the model that ``distill`` names.

    Raises:
        UsageError: there is nothing to do, or the options conflict.
        ArtifactError: the run's data is missing, or its model cannot be converted.
    """
    refuse_private(training, "compress", why="finetune privately, then quantise")
    old = load_run(run, domain=domain)
    require_float_run(old, "compressed")
    task = open_task(old, load_task)
    format = _check(old, task, options, settings, from_=training.from_)
    data = data_of(task, old)
    split = data.held_out(options.split)
    rows = data.rows(split)
    drafted = new_run(out, inputs=[run, data.folder], overwrite=overwrite, resume=resume)
    with drafted as draft, measured_cost() as cost:
        if format != "keras":
            converter.start()
        steps = train_smaller(old, task, data, draft.state, options, training, settings, reporter)
        candidate = steps[-1]
        candidate.assets.save(draft.assets)
        with tempfile.TemporaryDirectory(prefix="aitk-compress-") as folder:
            stored = store(
                candidate,
                task,
                data,
                draft.folder,
                format=format,
                options=options,
                folder=Path(folder),
                reporter=reporter,
            )
        manifest = {
            **{key: value for key, value in old.manifest.items() if key not in ("version", "aitk")},
            "model": candidate.model,
            "settings": dict(candidate.settings),
            "options": as_dict(options),
            "format": format,
            "parent": str(old.folder.resolve()),
            "parameters": candidate.facts.get("parameters", old.manifest.get("parameters")),
            "packages": package_versions(),
        } | without_guarantee(old.manifest, _reused(options, stored.facts["scheme"]))
        reporter.note("evaluating the original and the smaller run")
        new = Run(draft.folder, manifest, trusted=True)  # written by this process
        before, after = (
            measure_run(each, task, rows, resamples=options.resamples, reporter=reporter)
            for each in (old, new)
        )
        # What is stored as Keras is the last step itself.
        between = steps[1:-1] if format == "keras" else steps[1:]
        table = _table(task, rows, steps, before, between, after, options, reporter)
        drop, comparison = compare_runs(task, before, after, resamples=options.resamples)
        verdict = _verdict(task, drop, f"{len(rows)} {split} rows")
        missed = stored.missed or _missed(task, drop, after, options, stored.facts.get("max_drop"))
        facts = {"verdict": verdict, **comparison, "split": split, **stored.facts}
        facts |= candidate.facts
        if options.prune:
            facts["gzip_bytes"] = gzip_size(new.model_path)
        write_history(draft, candidate.history)
        described = _signature(task, rows, after)
        draft.finish(manifest | described | cost() | {"compression": facts | {"table": table}})
        written = load_run(draft.folder)
        evaluated = after.evaluated
        result = evaluated.result(
            data={"folder": str(data.folder), "fingerprint": data.fingerprint, "split": split},
            resamples=options.resamples,
            seed=training.seed,
            warnings=list(evaluated.evaluation.warnings),
        )
        written.add_evaluation(split, result, evaluated.rows, pictures=evaluated.pictures)
        refresh_pages(written, name=out.name)
    if drop.sure:
        reporter.warn(verdict)
    domain_name = task.name.partition(".")[0]
    return Outcome(
        facts={"run": str(out), "format": format, **facts, "report": str(out / "report.html")},
        table=table,
        missed=missed,
        next=f"aitk {domain_name} predict {out} INPUT --out FILE"
        + (" --trust" if format in EXECUTABLE else ""),
    )


def gzip_size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder, after gzip: the size of a download."""
    size = 0
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            size += len(gzip.compress(file.read_bytes(), 6, mtime=0))
    return size


def _check(
    run: Run,
    task: Task,
    options: CompressOptions,
    settings: Mapping[str, Any],
    *,
    from_: str | None,
) -> str:
    """Check the options before anything heavy starts; the format to write."""
    if options.distill is not None:
        check_distillation(task, options.distill, sequences=options.distill_sequences)
        check_settings(task, options.distill, settings)
    elif settings:
        raise UsageError(
            f"only the model of --distill has settings, not {', '.join(settings)}",
            where="compress",
            hint="The settings of the run do not change",
        )
    elif from_ is not None:
        raise UsageError("only the model of --distill starts from weights", where="--from")
    format = choose_format(options.format, options.quantize)
    model = options.distill or run.model
    if model not in task.models:
        raise ArtifactError(f"unknown model {model!r}", where=str(run.folder))
    known = task.models[model].formats
    if known is not None and format not in known:
        raise UsageError(
            f"{model} cannot be stored as {format}",
            where=str(run.folder),
            hint=f"Use {' or '.join(known)}",
        )
    if format == run.format and not trains(options):
        raise UsageError(
            "nothing to do",
            where=str(run.folder),
            hint="Try --quantize int8, --prune-channels, --prune-heads, --prune or --distill",
        )
    if options.prune_pattern != "any" and options.prune != PATTERN_SHARE:
        raise UsageError(
            f"{options.prune_pattern} is half of the weights",
            where="--prune-pattern",
            hint="Add --prune 0.5",
        )
    if options.qat and (format != "litert" or options.quantize not in ("int8", "static")):
        raise UsageError("trains for the int8 of LiteRT", where="--qat", hint="Add --quantize int8")
    learns = options.distill is not None or options.distill_pruned
    for name in ("distill_hidden", "distill_sequences", "unlabelled"):
        if getattr(options, name) and not learns:
            where = f"--{name.replace('_', '-')}"
            raise UsageError(
                "no model learns from the run", where=where, hint="Add --distill MODEL"
            )
    if options.unlabelled is not None:
        check_unlabelled(task)
    if options.distill_hidden is not None and options.distill_sequences:
        raise UsageError("texts have no features", where="--distill-hidden")
    parts = [name for name in TRANSFORMER_PARTS if getattr(options, name)]
    if options.distill_pruned and not (parts or options.prune or options.prune_channels):
        raise UsageError("nothing is pruned", where="--distill-pruned")
    return format


def _verdict(task: Task, drop: Drop, rows: str) -> str:
    """The loss in the main metric, in one sentence."""
    metric = task.metric.name
    if drop.value == 0:
        return f"{metric} is unchanged on {rows}"
    if drop.low is None or drop.high is None:
        return f"{metric} is worse by {drop.value:.4f} on {rows}"
    interval = f"{drop.value:.4f}, 95% interval {drop.low:.4f} to {drop.high:.4f}, on {rows}"
    if drop.sure:
        return f"{metric} is worse by {interval}"
    return f"no significant loss in {metric}: {interval}"


def _table(
    task: Task,
    rows: Any,
    steps: Sequence[Candidate],
    before: Measured,
    between: Sequence[Candidate],
    after: Measured,
    options: CompressOptions,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """A line for the run as it was, for each step of training, and for the file that is written."""
    metric = task.metric.name

    def costs(candidate: Candidate) -> dict[str, Any]:
        if "keras" not in sys.modules:  # starting it would take longer than all the rest
            return {"parameters": before.run.manifest.get("parameters")}
        model = load_keras(candidate.path)
        inputs = one_row(task, candidate.assets, rows)
        return {
            "parameters": model.count_params(),
            "multiply_adds": count_multiply_adds(model, inputs),
        }

    table = [before.line("before", metric, **(costs(steps[0]) if len(steps) > 1 else {}))]
    for candidate in between:
        reporter.note(f"measuring it {candidate.step}")
        with tempfile.TemporaryDirectory(prefix="aitk-step-") as folder:
            measured = measure_run(
                _as_run(candidate, before.run, Path(folder)),
                task,
                rows,
                resamples=options.resamples,
                reporter=reporter,
            )
            gap = largest_difference(before, measured, task, rows)
            line = measured.line(candidate.step, metric, **costs(candidate), difference=gap)
            table.append(line)
    gap = largest_difference(before, after, task, rows)
    table.append(after.line("after", metric, **costs(steps[-1]), difference=gap))
    if len(steps) == 1:  # the same network in another file
        table[0] |= {name: table[1][name] for name in ("parameters", "multiply-adds")}
    return table


def _signature(task: Task, rows: Any, after: Measured) -> dict[str, Any]:
    """What a LiteRT or ONNX file reads and gives, with the ranges that some rows have."""
    examples = task.encode(rows[:COMPARED_ROWS], after.assets)
    batch = task.collate(examples, after.assets)
    outputs = after.predictor(batch.inputs)
    arrays = dict(batch.inputs)
    arrays |= outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT: outputs}
    values = {
        name: f"{np.min(array):.4g} to {np.max(array):.4g} in {len(examples)} rows"
        for name, array in arrays.items()
        if array.size
    }
    run = after.run
    found = read_signature(run.model_path, format=run.format, values=values)
    if found is None:
        return {}
    labels = list(getattr(after.assets, "labels", ()))
    sizes = task.models[run.model].output_sizes(after.assets)
    classes = {"classes": labels} if labels and sizes == {ONLY_OUTPUT: len(labels)} else {}
    return {"signature": found.as_json() | classes}


def _as_run(candidate: Candidate, old: Run, folder: Path) -> Run:
    """A step as a run that is not kept."""
    shutil.copyfile(candidate.path, folder / MODEL_FILES["keras"])
    candidate.assets.save(folder / "assets")
    changed = {"model": candidate.model, "settings": dict(candidate.settings), "format": "keras"}
    return Run(folder, {**old.manifest, **changed})


def _missed(
    task: Task, drop: Drop, after: Measured, options: CompressOptions, default: float | None
) -> str | None:
    """The budgets that are missed: a stated loss by any, the default one by a real one.

    Args:
        default: the budget by which a scheme was chosen, where one was.
    """
    missed = []
    lost = f"{task.metric.name} is worse by {drop.value:.4f}"
    if options.max_drop is not None:
        if drop.value > options.max_drop:
            missed.append(f"{lost}, more than --max-drop {options.max_drop:g}")
    elif default is not None and not trains(options) and drop.sure and drop.value > default:
        missed.append(f"{lost}, more than {default:.4g} (--max-drop sets another limit)")
    size, taken_ms = after.run.model_bytes(), after.one.median_ms
    if options.max_bytes is not None and size > options.max_bytes:
        missed.append(f"it has {size:,} bytes, more than --max-bytes {options.max_bytes:,}")
    if options.max_latency_ms is not None and taken_ms > options.max_latency_ms:
        limit = f"--max-latency-ms {options.max_latency_ms:g}"
        missed.append(f"a row takes {taken_ms:.3f} ms, more than {limit}")
    return "; ".join(missed) or None


def _reused(options: CompressOptions, scheme: str) -> str | None:
    """What used the training rows again without noise, None where nothing did."""
    if trains(options):
        return "the smaller model was trained on the rows without noise"
    return "training rows set the int8 ranges" if scheme in CALIBRATED else None
