"""``compress``: make a run smaller and faster, and measure the cost in quality.

In this order, depending on the options: distillation into a smaller model, channel pruning,
magnitude pruning, quantisation and conversion to another format.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import EXECUTABLE, Run, load_run, new_run
from aitk.core.artifacts.versions import package_versions
from aitk.core.compression.export import choose_format, converter
from aitk.core.contract.capabilities import DistillsBatches, DistillsRows
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.model_spec import ClosedFormModel
from aitk.core.contract.options import as_dict, unknown_name
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.metrics.comparison import compare_runs, measure_run
from aitk.core.metrics.statistics import Drop
from aitk.registry import load_task
from aitk.stages.evaluate import refresh_pages
from aitk.stages.options import CompressOptions, TrainingOptions
from aitk.stages.shrink import train_smaller
from aitk.stages.store import store
from aitk.stages.train_run import (
    check_settings,
    data_of,
    measured_cost,
    require_float_run,
    write_history,
)


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
        training: training options of ``distill``, ``prune_channels`` and ``prune``.
        settings: of the model given by ``distill``.

    Raises:
        UsageError: there is nothing to do, or the options conflict.
        ArtifactError: the run's data is missing, or its model cannot be converted.
    """
    old = load_run(run, domain=domain)
    require_float_run(old, "compressed")
    task = open_task(old, load_task)
    format = _check(old, task, options, settings)
    data = data_of(task, old)
    split = data.held_out(options.split)
    rows = data.rows(split)
    drafted = new_run(out, inputs=[run, data.folder], overwrite=overwrite, resume=resume)
    with drafted as draft, measured_cost() as cost:
        if format != "keras":
            converter.start()
        candidate = train_smaller(
            old, task, data, draft.state, options, training, settings, reporter
        )
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
        }
        reporter.note("evaluating the original and the smaller run")
        new = Run(draft.folder, manifest, trusted=True)  # written by this process
        before, after = (
            measure_run(each, task, rows, resamples=options.resamples, reporter=reporter)
            for each in (old, new)
        )
        drop, comparison = compare_runs(task, before, after, resamples=options.resamples)
        verdict = _verdict(task, drop, f"{len(rows)} {split} rows")
        missed = stored.missed or _missed(task, drop, options, stored.facts.get("max_drop"))
        facts = {"verdict": verdict, **comparison, "split": split, **stored.facts}
        facts |= candidate.facts
        if options.prune:
            facts["gzip_bytes"] = gzip_size(new.model_path)
        table = [
            before.line("before", task.metric.name),
            after.line("after", task.metric.name),
        ]
        write_history(draft, candidate.history)
        draft.finish(manifest | cost() | {"compression": facts | {"table": table}})
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


def _check(run: Run, task: Task, options: CompressOptions, settings: Mapping[str, Any]) -> str:
    """Check the options before anything heavy starts; the format to write."""
    if options.distill is not None:
        if not isinstance(task, DistillsRows | DistillsBatches):
            raise UsageError(
                f"models of {task.name} cannot be distilled",
                where="--distill",
                hint="Train the smaller model on the data itself, or try --quantize int8",
            )
        if options.distill not in task.models:
            raise unknown_name(options.distill, task.models, what="model")
        if isinstance(task.models[options.distill], ClosedFormModel):
            raise UsageError(
                f"{options.distill} is fitted in closed form and cannot be a student",
                where="--distill",
            )
        check_settings(task, options.distill, settings)
    elif settings:
        raise UsageError(
            f"only the model of --distill has settings, not {', '.join(settings)}",
            where="compress",
            hint="The settings of the run do not change",
        )
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
    if format == run.format and not (options.distill or options.prune_channels or options.prune):
        raise UsageError(
            "nothing to do",
            where=str(run.folder),
            hint="Try --quantize int8, --prune-channels, --prune or --distill",
        )
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


def _missed(task: Task, drop: Drop, options: CompressOptions, default: float | None) -> str | None:
    """The budget that the reported rows miss: a stated one by any loss, the default by a real one.

    Args:
        default: the budget by which a scheme was chosen, where one was.
    """
    lost = f"{task.metric.name} is worse by {drop.value:.4f}"
    if options.max_drop is not None:
        over = drop.value > options.max_drop
        return f"{lost}, more than --max-drop {options.max_drop:g}" if over else None
    trained = options.distill or options.prune or options.prune_channels
    if default is None or trained or not drop.sure or drop.value <= default:
        return None
    return f"{lost}, more than {default:.4g} (--max-drop changes this limit)"
