"""``evaluate``: the quality of a run on rows it was not trained on."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import PreparedData, load_data
from aitk.core.artifacts.marker import alone_in
from aitk.core.artifacts.opening import check_data, open_assets, open_model, open_reading, open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.capabilities import Grouped, HasBaselines
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import changed, describe, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.ensemble import combine
from aitk.core.inference.evaluation import Evaluated, evaluate_rows
from aitk.core.inference.prediction import configure
from aitk.core.inference.text_scores import open_scorer
from aitk.core.io.files import atomic_text, check_writable, sha256_file
from aitk.core.metrics.baselines import (
    baseline_warnings,
    compare_with_baselines,
    describe_baselines,
    score_baselines,
)
from aitk.core.reporting.card import describe_predict_options, model_card
from aitk.core.reporting.report import run_report
from aitk.registry import load_task
from aitk.stages.options import EvaluateOptions
from aitk.stages.privacy.leaks import describe_leaks, measure_leaks


@dataclass(frozen=True)
class EvaluationRows:
    """The rows that a run is evaluated on.

    Attributes:
        name: name of the evaluation in ``metrics.json``.
        rows: labelled rows.
        data: the source of the rows, in the form of ``metrics.json``.
        warnings: caveats about the scores.
        refused: number of refused records.
        protocol: how the rows were held out, if there are several ways.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    refused: int = 0
    protocol: str | None = None


def evaluate(
    run: Path,
    *,
    options: EvaluateOptions,
    domain: str | None = None,
    reading: Mapping[str, Any] | None = None,
    predict_options: Mapping[str, Any] | None = None,
    trust: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Score a run with bootstrap intervals; store the result, report and card in the run.

    Args:
        domain: refuse a run of another domain.
        reading: reading options of a raw file that differ from those of the training data.
        predict_options: the task's predict options that change the scores.
        trust: also execute a model that contains a program.

    Raises:
        ArtifactError: the run or its data is missing, damaged, or of another task.
        DataError: there are no labelled rows to score.
        UsageError: the task has no such option, or the model does not support it.
    """
    opened = load_run(run, domain=domain, trust=trust)
    check_writable(opened.folder)
    task = open_task(opened, load_task)
    chosen = _resolve_scored(task, predict_options or {})
    recorded = {name: _recorded(value) for name, value in changed(chosen).items()}
    assets = configure(
        task,
        open_assets(task, opened),
        chosen,
        open_scorer=functools.partial(open_scorer, task_of=load_task, trust=trust),
    )
    second = None
    if options.ensemble_with is not None:
        second = load_run(options.ensemble_with, trust=trust)
        recorded |= {
            "ensemble_with": _recorded(options.ensemble_with),
            "ensemble_weight": options.ensemble_weight,
        }
    scored = _find_rows(opened, task, assets, options, reading or {}, reporter)

    if options.against is not None and not options.privacy:
        raise UsageError("does nothing without --privacy", where="--against")
    predict = open_model(task, opened, assets, reporter=reporter)
    evaluated = evaluate_rows(
        scored.rows,
        combine(task, opened, assets, second, weight=options.ensemble_weight),
        assets,
        predict,
        reporter=reporter,
        batch_size=options.batch_size,
        resamples=options.resamples,
        seed=options.seed,
        options=chosen if changed(chosen) else None,
    )
    details = dict(evaluated.evaluation.details)
    if scored.protocol is not None:
        details["protocol"] = scored.protocol
    baselines = _compare_with_baselines(opened, task, assets, scored, evaluated, reporter)
    main = evaluated.evaluation.metrics.get(task.metric.name)
    warnings = [
        *scored.warnings,
        *evaluated.evaluation.warnings,
        *_other_data(opened, second),
        *(baseline_warnings(task.metric.name, main.value, baselines) if main else ()),
    ]
    for warning in warnings:
        reporter.warn(warning)
    result = evaluated.result(
        data=dict(scored.data),
        resamples=options.resamples,
        seed=options.seed,
        warnings=warnings,
        **({"baselines": baselines} if baselines else {}),
        **({"predict_options": recorded} if recorded else {}),
    ) | {"details": details}
    if options.privacy:
        against = None if options.against is None else load_run(options.against)
        result["privacy"] = measure_leaks(
            opened,
            against=against,
            batch_size=options.batch_size,
            seed=options.seed,
            reporter=reporter,
        )
    opened.add_evaluation(scored.name, result, evaluated.rows, pictures=evaluated.pictures)
    refresh_pages(opened)
    return Outcome(
        facts={
            "run": str(run),
            "evaluation": scored.name,
            "rows": result["rows"],
            **protocol_of(details),
            **({"predicted_with": describe_predict_options(result)} if recorded else {}),
            "metrics": result["metrics"],
            **comparison_facts(task.metric.name, result),
            **_told_leaks(result),
            "worst": result["worst"],
            "report": str(opened.folder / "report.html"),
        },
        table=[{"metric": name} | score for name, score in result["metrics"].items()],
        refused=scored.refused,
    )


def refresh_pages(run: Run, *, name: str | None = None) -> None:
    """Rewrite the report and the card of a run from its current content.

    Args:
        name: its name once its folder, a draft, is published.
    """
    with alone_in(run.folder):
        metrics = run.metrics
        run_report(run.manifest, run.history, metrics, run.folder / "report.html")
        with atomic_text(run.folder / "README.md") as file:
            file.write(model_card(run.manifest, metrics, name=name or run.folder.name))


def comparison_facts(metric: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The baselines next to the score, in words and in the form of ``metrics.json``."""
    described = describe_baselines(metric, result)
    return {"comparison": described, "baselines": result["baselines"]} if described else {}


def _told_leaks(result: Mapping[str, Any]) -> dict[str, Any]:
    found = result.get("privacy")
    return {"membership": describe_leaks(found), "privacy": found} if found else {}


def protocol_of(details: Mapping[str, Any]) -> dict[str, str]:
    """How rows were held out and scored, if a task has several ways."""
    return {"protocol": details["protocol"]} if "protocol" in details else {}


def _resolve_scored(task: Task, given: Mapping[str, Any]) -> Any:
    """The predict options of a task; only those that change scores are accepted."""
    scored = {item.name for item in describe(task.predict_options) if item.scored}
    for name in given:
        if name not in scored:
            raise UsageError(
                f"does not change the scores of {task.name}",
                where="--" + name.replace("_", "-"),
            )
    return resolve(task.predict_options, given)


def _recorded(value: Any) -> Any:
    """The value of an option, with the digest if it is a file or run."""
    if isinstance(value, str):
        for path in (Path(value), Path(value) / "run.json"):
            if path.is_file():
                return f"{value} (sha256 {sha256_file(path)[:16]})"
    return value


def _compare_with_baselines(
    run: Run,
    task: Task,
    assets: Assets,
    scored: EvaluationRows,
    evaluated: Evaluated,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Compare the run with the baselines of its task, which are trained once for these rows."""
    main = evaluated.evaluation.metrics.get(task.metric.name)
    if main is None or not isinstance(task, HasBaselines):
        return []
    keys = [row["key"] for row in evaluated.rows]
    scores = run.load_baselines(scored.name, keys)
    if scores is None:
        data = _training_data(run, reporter)
        if data is None:
            return []
        scores = score_baselines(
            task, data.rows("train"), data.summary, assets, scored.rows, evaluated.measured
        )
        run.save_baselines(scored.name, keys, scores)
        # In stored form: a repeated evaluation gives the same intervals.
        scores = run.load_baselines(scored.name, keys) or []
    return compare_with_baselines(task, main.value, evaluated.evaluation.per_row, scores)


def _training_data(run: Run, reporter: Reporter) -> PreparedData | None:
    """The run's data as of training, for baselines; None if it is missing or has changed."""
    try:
        data = None if run.data is None else load_data(run.data)
    except ArtifactError:
        data = None  # the evaluation does not need it: the score has no baselines
    if data is None or data.fingerprint != run.manifest["data"]["fingerprint"]:
        reporter.note("no baselines: the training data is missing or has changed")
        return None
    return data


def _other_data(run: Run, second: Run | None) -> list[str]:
    """A caveat about a second run that was trained on other data."""
    if second is None:
        return []
    own, other = (each.manifest["data"]["fingerprint"] for each in (run, second))
    if own == other:
        return []
    return [f"{second.folder} was trained on other data: it may have seen these rows"]


def _find_rows(
    run: Run,
    task: Task,
    assets: Assets,
    options: EvaluateOptions,
    reading: Mapping[str, Any],
    reporter: Reporter,
) -> EvaluationRows:
    if options.data is None:
        if run.data is None:
            raise ArtifactError(
                f"its data {run.manifest['data']['folder']} is missing",
                where=str(run.folder),
                hint="Use other rows with --data",
            )
        data, own = load_data(run.data), run.manifest["data"]
    elif (Path(options.data) / "dataset.json").is_file():
        data, own = load_data(options.data), None
    else:
        return _raw_rows(Path(options.data), run, task, reading, reporter)
    rows = _prepared_rows(data, task, options.split, reporter, own=own)
    if isinstance(task, Grouped):
        task.check_tables(data.tables, assets)
    return rows


def _prepared_rows(
    data: PreparedData,
    task: Task,
    wanted: str,
    reporter: Reporter,
    *,
    own: Mapping[str, Any] | None = None,
) -> EvaluationRows:
    if data.task != task.name:
        raise ArtifactError(
            f"contains {data.task} rows, but the run's task is {task.name}", where=str(data.folder)
        )
    check_data(task, data)
    split = wanted if wanted == "train" else data.held_out(wanted)
    warnings = []
    if split != wanted:
        reporter.note(f"no {wanted} rows: evaluating on {split}")
        if split == "validation" and own:
            warnings.append(
                "These rows also selected the best epoch: the scores are slightly optimistic"
            )
    if split == "train" and own:
        warnings.append("The model was trained on these rows: the scores do not apply to new rows")
    if own and own["fingerprint"] != data.fingerprint:
        warnings.append(
            f"The data in {data.folder} has changed since training: the model may have been"
            " trained on some of these rows"
        )
    return EvaluationRows(
        name=split if own else f"{data.folder.resolve().name}/{split}",
        rows=data.rows(split),
        data={"folder": str(data.folder), "fingerprint": data.fingerprint, "split": split},
        warnings=tuple(warnings),
        protocol=data.summary.get("protocol"),
    )


def _raw_rows(
    path: Path, run: Run, task: Task, reading: Mapping[str, Any], reporter: Reporter
) -> EvaluationRows:
    if not path.exists():
        raise DataError("no such file or folder", where=str(path))
    if isinstance(task, Grouped):
        domain, _, name = task.name.partition(".")
        raise UsageError(
            "its records must be prepared, which groups them into rows",
            where=f"--data {path}",
            hint=f"Run: aitk {domain} prepare {path} --task {name} --out DATA, then use --data"
            " DATA",
        )
    how = open_reading(task, run, reading)
    rows, refused = [], []
    items = task.read([str(path)], how, labelled=True, note=reporter.note)
    for item in reporter.track(items, "reading"):
        if isinstance(item, Refusal):
            refused.append(item)
        else:
            rows.append(dict(item.fields))
    for refusal in refused[:5]:
        reporter.warn(f"{refusal.where}: {refusal.reason}")
    if not rows:
        reason = f"all {len(refused)} rows were refused" if refused else "no rows were found"
        raise DataError(reason, where=str(path))
    fingerprint = sha256_file(path)[:16] if path.is_file() else None
    warnings = [f"{len(refused)} rows were refused and not scored"] if refused else []
    return EvaluationRows(
        name=path.resolve().name,
        rows=rows,
        data={"file": str(path), "fingerprint": fingerprint},
        warnings=tuple(warnings),
        refused=len(refused),
    )
