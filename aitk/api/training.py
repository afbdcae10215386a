"""``aitk.pretrain``, ``finetune``, ``tune``, ``update``, ``compress`` and ``compare``."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.api.arguments import divide
from aitk.api.data import PathLike, as_list
from aitk.api.progress import Callback, reporter_for
from aitk.api.run import Run
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter


def pretrain(
    data: PathLike,
    *,
    out: PathLike,
    objective: str | None = None,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    ranks: int | None = None,
    engine: str | None = None,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Run:
    """Train a backbone on rows without labels, for ``finetune(..., from_=run)``.

    Args:
        data: prepared data of any task of the domain; its labels are not used.
        objective: short name of the objective; by default that of the data.
        settings: settings of the model (``--set``).
        domain: refuse data of another domain.
        resume: continue an interrupted call with the same arguments.
        ranks: processes that share every batch.
        engine: address of a Ray cluster that the ranks run on.
        options: training options, as in ``aitk DOMAIN pretrain --help``: ``model``, ``epochs``, ...

    Raises:
        aitk.errors.TrainingError: the loss is not finite, or memory is insufficient.
    """
    _quiet()
    stage = _stage("pretrain", ranks, engine)
    outcome = stage(
        Path(data),
        Path(out),
        domain=domain or _domain_of(data),
        objective=objective,
        options=_training(options),
        settings=settings or {},
        overwrite=overwrite,
        resume=resume,
        reporter=reporter_for(progress),
    )
    return Run(out, outcome=outcome)


def finetune(
    data: PathLike,
    *,
    out: PathLike,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    ranks: int | None = None,
    engine: str | None = None,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Run:
    """Train a model on prepared rows and save the best epoch.

    Args:
        data: a prepared folder, or the result of ``prepare``.
        out: the run to write; complete or absent.
        settings: settings of the model (``--set``), such as ``{"dropout": 0.2}``.
        domain: refuse data of another domain.
        overwrite: replace ``out``, if aitk wrote it.
        resume: continue an interrupted call with the same arguments.
        ranks: processes that share every batch.
        engine: address of a Ray cluster that the ranks run on.
        progress: a function called with ``Progress`` objects.
        options: training options, as in ``aitk DOMAIN finetune --help``: ``model``, ``from_``,
            ``epochs``, ``batch_size``, ``learning_rate``, ``seed``, ...

    Raises:
        aitk.errors.UsageError: an unknown option or setting, or ``out`` cannot be written.
        aitk.errors.ArtifactError: the data or the source of weights is missing or damaged.
        aitk.errors.TrainingError: the loss is not finite, or memory is insufficient.

    Example:
        >>> import aitk
        >>> run = aitk.finetune("data/messages", out="runs/messages", model="bag", epochs=3)
        >>> run.model_name
        'bag'
    """
    _quiet()
    stage = _stage("finetune", ranks, engine)
    outcome = stage(
        Path(data),
        Path(out),
        domain=domain or _domain_of(data),
        options=_training(options),
        settings=settings or {},
        overwrite=overwrite,
        resume=resume,
        reporter=reporter_for(progress),
    )
    return Run(out, outcome=outcome)


def tune(
    data: PathLike,
    *,
    out: PathLike,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Run:
    """Search models and hyper-parameters by real trainings; the best trial is the run.

    Args:
        options: ``trials`` or ``minutes``, ``models=["bag", "cnn"]``, ``space=["dropout=0..0.5"]``,
            ``sampler``, ``pruner``, ``workers``, and those of training.

    Returns:
        The best run; ``outcome.table`` holds every trial.
    """
    from aitk.core.contract.options import resolve
    from aitk.stages.options import TrainingOptions, TuneOptions
    from aitk.stages.tune import tune as stage

    _quiet()
    search, training = divide(options, TuneOptions, TrainingOptions)
    outcome = stage(
        Path(data),
        Path(out),
        domain=domain or _domain_of(data),
        options=resolve(TuneOptions, search),
        training=_training(training),
        settings=settings or {},
        overwrite=overwrite,
        resume=resume,
        reporter=reporter_for(progress),
    )
    return Run(out, outcome=outcome)


def compress(
    run: PathLike,
    *,
    out: PathLike,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Run:
    """Make a run smaller and faster, and measure the cost in quality.

    Args:
        run: the run, or its folder.
        settings: settings of the model given by ``distill``.
        options: ``quantize``, ``format``, ``prune``, ``prune_channels``, ``distill``,
            ``max_drop``, ..., and training options.

    Returns:
        The compressed run; ``outcome.missed`` describes an exceeded budget, if any.

    Example:
        >>> import aitk
        >>> small = aitk.compress("runs/messages", out="runs/messages-int8", quantize="int8")
        >>> small.manifest["format"]
        'litert'
    """
    from aitk.core.contract.options import resolve
    from aitk.stages.compress import compress as stage
    from aitk.stages.options import CompressOptions, TrainingOptions

    _quiet()
    own, training = divide(options, CompressOptions, TrainingOptions)
    outcome = stage(
        Path(run),
        Path(out),
        domain=domain,
        options=resolve(CompressOptions, own),
        training=_training(training),
        settings=settings or {},
        overwrite=overwrite,
        resume=resume,
        reporter=reporter_for(progress),
    )
    # The model was written by this process, so it may be executed in any format.
    return Run(out, trust=True, outcome=outcome)


def bundle(
    run: PathLike,
    *,
    out: PathLike,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Outcome:
    """Write a folder that predicts on a small device without aitk: model, script, labels.

    A run in another format than LiteRT or ONNX is compressed first, with ``options``.

    Args:
        run: the run, or its folder.
        settings: settings of the model given by ``distill``.
        options: options of ``compress``.

    Raises:
        aitk.errors.UsageError: a small script cannot include part of the run.

    Example:
        >>> import aitk
        >>> made = aitk.bundle("runs/messages-int8", out="messages-edge")
        >>> sorted(row["file"] for row in made.table)
        ['README.md', 'model.tflite', 'predict.py', 'requirements.txt', 'settings.json']
    """
    import functools

    from aitk.core.contract.options import resolve
    from aitk.stages.compress import compress as compressing
    from aitk.stages.compressing.bundle import bundle as stage
    from aitk.stages.options import CompressOptions, TrainingOptions

    _quiet()
    own, training = divide(options, CompressOptions, TrainingOptions)
    return stage(
        Path(run),
        Path(out),
        domain=domain,
        options=resolve(CompressOptions, own),
        compress=functools.partial(
            compressing,
            domain=domain,
            training=_training(training),
            settings=settings or {},
            reporter=reporter_for(progress),
        ),
        overwrite=overwrite,
    )


def search(
    run: PathLike,
    *,
    out: PathLike,
    trials: int = 12,
    settings: Mapping[str, Any] | None = None,
    domain: str | None = None,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Outcome:
    """Compress a run in several ways, and find which are worth choosing among (Pareto front).

    ``out`` then holds ``search.json`` and ``report.html``, and a run for each way in ``points``.

    Args:
        trials: combinations of pruning steps; each is stored in every number format.
        options: as of ``compress``; what is given stays, the other steps are searched.

    Returns:
        The points of the front as ``table``; ``facts["knee"]`` is the run of the knee point.
    """
    import functools

    from aitk.core.contract.options import resolve
    from aitk.stages.compress import compress as compressing
    from aitk.stages.compressing.search import search as stage
    from aitk.stages.options import CompressOptions, TrainingOptions

    _quiet()
    own, training = divide(options, CompressOptions, TrainingOptions)
    chosen = _training(training)
    return stage(
        Path(run),
        Path(out),
        domain=domain,
        options=resolve(CompressOptions, own),
        trials=trials,
        seed=chosen.seed,
        compress=functools.partial(
            compressing,
            domain=domain,
            training=chosen,
            settings=settings or {},
            reporter=reporter_for(progress),
        ),
        reporter=reporter_for(progress),
    )


def update(
    run: PathLike,
    sources: PathLike | Sequence[PathLike] = (),
    *,
    out: PathLike | None = None,
    domain: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Run:
    """Train a run on new rows without losing the old ones (experience replay).

    Args:
        run: a run, or a folder of versions, whose current one is meant.
        sources: files or folders of new rows; one growing file, or ``-``, with ``follow``.
        out: the run to write. With ``keep_if_better``, ``follow`` and ``rollback`` a folder of
            versions, which may be ``run`` itself.
        options: ``replay``, ``anchor``, ``max_drop``, ``force``, ``without_labels``,
            ``keep_if_better``, ``follow``, ``every``, ``drift``, ..., and those of training.

    Returns:
        The updated run; of a folder of versions the current one.

    Raises:
        aitk.errors.BudgetMissed: the held-out score fell by more than ``max_drop``.
    """
    from aitk.core.contract.options import resolve
    from aitk.stages.options import TrainingOptions, UpdateOptions
    from aitk.stages.update import update as learn
    from aitk.stages.updating.adapt import adapt
    from aitk.stages.updating.versions import CURRENT, is_versions

    _quiet()
    own, training = divide(options, UpdateOptions, TrainingOptions)
    chosen: UpdateOptions = resolve(UpdateOptions, own)
    given = Path(run)
    start = given / CURRENT if is_versions(given) else given
    shared: dict[str, Any] = {
        "domain": domain or Run(start).task.partition(".")[0],
        "options": chosen,
        "training": _training(training),
        "overwrite": overwrite,
        "resume": resume,
        "reporter": reporter_for(progress),
    }
    inputs = [os.fspath(source) for source in as_list(sources)]
    if chosen.without_labels:
        outcome = adapt(start, inputs, Path(out) if out is not None else None, **shared)
    else:
        outcome = learn(given, inputs, Path(out) if out is not None else None, **shared)
    written = Path(out if out is not None else run)
    return Run(written / CURRENT if is_versions(written) else written, outcome=outcome)


def compare(
    runs: Sequence[PathLike],
    *,
    split: str | None = None,
    progress: Callback | Reporter | None = None,
) -> Outcome:
    """Test whether the difference between evaluated runs is significant (paired bootstrap).

    Args:
        runs: two or more runs evaluated on the same rows.
        split: the evaluation to compare them on; test, or validation if there is none.
    """
    from aitk.stages.compare import compare as stage

    return stage([Path(run) for run in runs], split=split, reporter=reporter_for(progress))


def _stage(name: str, ranks: int | None, engine: str | None) -> Callable[..., Outcome]:
    """A stage of this name, by as many ranks as are asked for.

    Raises:
        UsageError: there are no such ranks.
    """
    from aitk.core.contract.errors import UsageError
    from aitk.core.contract.options import resolve
    from aitk.stages.options import RankOptions

    chosen = resolve(RankOptions, {"ranks": ranks, "engine": engine})
    if chosen.ranks is not None and chosen.ranks > 1:
        from aitk.stages.parts.ranks import train_with_ranks

        return functools.partial(train_with_ranks, name, ranks=chosen.ranks, engine=engine)
    if engine is not None:
        raise UsageError("how many ranks?", where="--engine", hint="Say it with --ranks N")
    stage: Callable[..., Outcome] = getattr(importlib.import_module(f"aitk.stages.{name}"), name)
    return stage


def _domain_of(data: PathLike) -> str:
    """The domain of prepared data."""
    from aitk.core.artifacts.data import load_data

    return load_data(Path(data)).task.partition(".")[0]


def _training(options: Mapping[str, Any]) -> Any:
    """Training options; ``from_`` may be a run."""
    from aitk.core.contract.options import resolve
    from aitk.stages.options import TrainingOptions

    (own,) = divide(options, TrainingOptions)
    if isinstance(own.get("from_"), os.PathLike):
        own["from_"] = os.fspath(own["from_"])
    return resolve(TrainingOptions, own)


def _quiet() -> None:
    """Silence TensorFlow and enable oneDNN; both must be set before its import."""
    from aitk.core.runtime.silence import silence
    from aitk.core.runtime.speed import prefer_onednn

    silence()
    prefer_onednn()
