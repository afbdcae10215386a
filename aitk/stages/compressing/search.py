"""``compress --search``: many ways to make a run smaller, and those worth choosing among."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.drafts import own_folder
from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.io.files import fingerprint, write_json
from aitk.core.io.json_files import read_json
from aitk.core.metrics.comparison import Measured, measure_run
from aitk.core.metrics.pareto import knee_point, pareto_front, within
from aitk.core.reporting.pareto_report import pareto_report
from aitk.registry import load_task
from aitk.stages.options import CompressOptions
from aitk.stages.training.run_data import data_of, require_float_run

#: What each step can be; a step whose option is given stays as it is.
SHARES = (0.0, 0.25, 0.5, 0.75)
LAYER_SHARES = (0.0, 0.34, 0.5)
SCHEMES = ("none", "dynamic", "static", "float16")
SEARCHED = {
    "prune_channels": SHARES,
    "prune_heads": SHARES,
    "prune_units": SHARES,
    "prune_layers": LAYER_SHARES,
}
FILE = "search.json"


@dataclasses.dataclass(frozen=True)
class Point:
    """A compressed run.

    Attributes:
        changes: option -> value, of the steps that made it.
        drop: how much worse the main metric is than the run's, on validation rows.
        latency_ms: median of one row.
    """

    folder: Path
    changes: Mapping[str, Any]
    drop: float
    bytes: int
    latency_ms: float
    value: float

    @property
    def costs(self) -> tuple[float, float, float]:
        return self.drop, float(self.bytes), self.latency_ms


def search(
    run: Path,
    out: Path,
    *,
    domain: str | None = None,
    options: CompressOptions,
    trials: int,
    seed: int,
    compress: Callable[..., Outcome],
    reporter: Reporter,
) -> Outcome:
    """Compress a run in several ways, and write the Pareto front of loss, size and latency.

    Each trial trains one combination of pruning steps, which Optuna's multi-objective TPE proposes
    (Ozaki et al. 2022), and stores it in every number format. Points that are there already are
    not made again, so that a search can be repeated with more trials.

    Args:
        options: what is given stays; the other steps are searched. The budgets limit which point
            is named.
        trials: combinations of pruning steps.
        compress: ``stages.compress.compress`` but for the run, the folder and the options.

    Raises:
        UsageError: there is nothing to search.
    """
    old = load_run(run, domain=domain)
    require_float_run(old, "compressed")
    if options.qat:
        raise UsageError("trains for one number format", where="--qat", hint="Leave out --search")
    task = open_task(old, load_task)
    data = data_of(task, old)
    rows = data.rows(data.held_out("validation"))
    space = _space(old, options)
    schemes = _schemes(task, old, options)
    with own_folder(out):
        _check_identity(out, old, options)
        base = measure_run(old, task, rows, resamples=0, reporter=reporter)
        points = [_point(old, {}, base, base, task)]
        for number, changes in enumerate(_proposals(space, trials, seed, points, out), 1):
            reporter.note(f"trial {number}: {_words(changes) or 'no pruning'}")
            try:
                made = _trial(old, out, changes, schemes, options, compress, reporter)
            except UsageError as error:  # the network has too few channels or heads for the share
                reporter.note(f"not made: {error.what}")
                continue
            for folder, steps in made:
                small = load_run(folder)
                measured = measure_run(small, task, rows, resamples=0, reporter=reporter)
                points.append(_point(small, steps, measured, base, task))
        return _written(points, out, task, data, options, base, reporter)


def _space(run: Run, options: CompressOptions) -> dict[str, Sequence[float]]:
    """The steps that the model can take and that are not given."""
    from aitk.core.artifacts.keras_file import load_keras
    from aitk.core.compression.pruning.channels import inner_channels
    from aitk.core.compression.pruning.transformers import prunable_parts
    from aitk.core.contract.model_spec import TrainedModel

    task = open_task(run, load_task)
    if not isinstance(task.models[run.model], TrainedModel):
        return {}
    model = load_keras(run.model_path)
    able = {f"prune_{part}" for part in prunable_parts(model)}
    able |= {"prune_channels"} if inner_channels(model) else set()
    return {
        name: values
        for name, values in SEARCHED.items()
        if name in able and getattr(options, name) is None
    }


def _schemes(task: Task, run: Run, options: CompressOptions) -> Sequence[str]:
    known = task.models[run.model].formats
    format = options.format or "litert"
    if known is not None and format not in known:
        raise UsageError(f"{run.model} cannot be stored as {format}", where="--search")
    return SCHEMES if options.quantize == "none" else (options.quantize,)


def _check_identity(out: Path, run: Run, options: CompressOptions) -> None:
    """Refuse to add to the points of another run, or of other options."""
    budgets = ("max_drop", "max_bytes", "max_latency_ms")
    told = {name: value for name, value in as_dict(options).items() if name not in budgets}
    identity = fingerprint({"run": run.manifest, "options": told})
    path = out / FILE
    if path.is_file() and read_json(path).get("identity") != identity:
        raise ArtifactError(
            "holds a search of another run, or with other options",
            where=str(out),
            hint="Name another --out",
        )
    if not path.is_file():
        write_json(path, {"identity": identity})


def _proposals(
    space: Mapping[str, Sequence[float]], trials: int, seed: int, points: list[Point], out: Path
) -> Any:
    """Combinations of steps, the unpruned one first; the study learns from the points made of
    each."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=optuna.samplers.TPESampler(seed=seed)
    )
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(list(values))
        for name, values in space.items()
    }
    every = len(list(itertools.product(*space.values())))
    study.enqueue_trial(dict.fromkeys(space, 0.0))
    tried: dict[tuple[float, ...], tuple[float, ...] | None] = {}
    while len(tried) < min(trials, every):
        trial = study.ask(distributions)
        key = tuple(trial.params[name] for name in space)
        if key not in tried:
            known = len(points)
            yield {name: trial.params[name] for name in space if trial.params[name]}
            # Of the formats of one network the nearest to the best of everything speaks for it.
            costs = np.array([point.costs for point in points[known:]])
            tried[key] = tuple(costs[knee_point(costs)]) if len(costs) else None
        found = tried[key]
        if found is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, list(found))


def _trial(
    old: Run,
    out: Path,
    changes: Mapping[str, Any],
    schemes: Sequence[str],
    options: CompressOptions,
    compress: Callable[..., Outcome],
    reporter: Reporter,
) -> list[tuple[Path, Mapping[str, Any]]]:
    """Train one combination and store it by every scheme: the folders, and how each was made."""
    plain = dataclasses.replace(
        options, max_drop=None, max_bytes=None, max_latency_ms=None, split="validation", resamples=0
    )
    made: list[tuple[Path, Mapping[str, Any]]] = []
    with tempfile.TemporaryDirectory(prefix="aitk-search-") as place:
        network: Path | None = None
        for scheme in schemes:
            steps = {**changes, "quantize": scheme}
            folder = out / "points" / _name(steps)
            if folder.name in read_json(out / FILE).get("refused", {}):
                continue
            if not folder.is_dir():
                if network is None:
                    network = _network(old, Path(place), changes, plain, compress)
                wanted = dataclasses.replace(
                    CompressOptions(),
                    quantize=scheme,
                    format=options.format or "litert",
                    split="validation",
                    resamples=0,
                    calibration_rows=options.calibration_rows,
                )
                try:
                    compress(network, folder, options=wanted)
                except ArtifactError as error:
                    reporter.note(f"{scheme}: {error.what}")
                    _remember(out, folder.name, error.what)
                    continue
            made.append((folder, steps))
    return made


def _remember(out: Path, point: str, reason: str) -> None:
    """That a point cannot be made: it is not tried again."""
    found = read_json(out / FILE)
    write_json(out / FILE, found | {"refused": found.get("refused", {}) | {point: reason}})


def _network(
    old: Run,
    place: Path,
    changes: Mapping[str, Any],
    options: CompressOptions,
    compress: Callable[..., Outcome],
) -> Path:
    """The run in float32 after the pruning steps; the run itself where there are none."""
    from aitk.stages.compressing.shrink import trains

    wanted = dataclasses.replace(options, **changes, quantize="none", format="keras")
    if not trains(wanted):
        return old.folder
    if not (changes or wanted.prune or wanted.prune_channels):
        wanted = dataclasses.replace(wanted, distill_pruned=False)
    if not (wanted.distill or wanted.distill_pruned):
        wanted = dataclasses.replace(
            wanted, distill_hidden=None, distill_sequences=False, unlabelled=None
        )
    compress(old.folder, place / "network", options=wanted)
    return place / "network"


def _point(
    run: Run, changes: Mapping[str, Any], measured: Measured, base: Measured, task: Task
) -> Point:
    metric = task.metric
    value, first = (
        each.evaluated.evaluation.metrics[metric.name].value for each in (measured, base)
    )
    drop = (first - value) * (1 if metric.higher_is_better else -1)
    return Point(run.folder, changes, drop, run.model_bytes(), measured.one.median_ms, float(value))


def _written(
    points: Sequence[Point],
    out: Path,
    task: Task,
    data: Any,
    options: CompressOptions,
    base: Measured,
    reporter: Reporter,
) -> Outcome:
    """Find the front and its knee, score both on the reported rows, and write all of it."""
    costs = np.array([point.costs for point in points])
    front = pareto_front(costs)
    limits = (options.max_drop, options.max_bytes, options.max_latency_ms)
    kept = front[within(costs[front], limits)]
    missed = None if len(kept) else "no point of the front is within the budgets"
    pool = kept if len(kept) else front
    knee = int(pool[knee_point(costs[pool])])
    split = data.held_out(options.split)
    reported = {}
    if split != data.held_out("validation"):
        for at in front:  # they were chosen on the validation rows, which flatters them
            run = base.run if not points[at].changes else load_run(points[at].folder)
            found = measure_run(
                run, task, data.rows(split), resamples=options.resamples, reporter=reporter
            )
            reported[int(at)] = found.evaluated.evaluation.metrics[task.metric.name]
    lines = []
    for at, point in enumerate(points):
        line: dict[str, Any] = {
            "point": _name(point.changes) if point.changes else "the run itself",
            "MB": round(point.bytes / 1e6, 3),
            "ms": round(point.latency_ms, 3),
            task.metric.name: round(point.value, 4),
            "drop": round(point.drop, 4),
            "smaller": round(points[0].bytes / point.bytes, 2),
            "faster": round(points[0].latency_ms / point.latency_ms, 2),
            "front": at in front,
            "knee": at == knee,
        }
        if at in reported:
            score = reported[at]
            line |= {f"{split} {task.metric.name}": round(score.value, 4)}
            ends = {"low": score.low, "high": score.high}
            line |= {f"{split} {end}": value and round(value, 4) for end, value in ends.items()}
        lines.append(line)
    chosen = lines[knee]
    change = "worse" if chosen["drop"] > 0 else "better"
    lost = f"{change} by {abs(chosen['drop']):.4f}" if chosen["drop"] else "unchanged"
    verdict = (
        f"knee point: {chosen['point']}, {chosen['smaller']:g} times smaller and"
        f" {chosen['faster']:g} times faster, {task.metric.name} {lost} on the validation rows"
    )
    write_json(
        out / FILE,
        read_json(out / FILE) | {"points": lines, "knee": chosen["point"], "verdict": verdict},
    )
    pareto_report(
        lines,
        out / "report.html",
        name=out.name,
        metric=task.metric.name,
        verdict=verdict,
        refused=read_json(out / FILE).get("refused", {}),
    )
    folder = points[knee].folder
    return Outcome(
        facts={
            "search": str(out),
            "points": len(points),
            "front": len(front),
            "verdict": verdict,
            "knee": str(folder),
            "report": str(out / "report.html"),
        },
        table=[line for line in lines if line["front"]],
        missed=missed,
        next=f"aitk {task.name.partition('.')[0]} evaluate {folder}",
    )


def _name(changes: Mapping[str, Any]) -> str:
    """What a point's folder is called."""
    return "_".join(
        f"{name.removeprefix('prune_')}-{value:g}" if isinstance(value, float) else str(value)
        for name, value in changes.items()
    ).replace("none", "float32")


def _words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in changes.items())
