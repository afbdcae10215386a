"""``finetune`` and ``pretrain`` by several ranks: each computes its share of every batch.

Every rank runs the whole stage on the same data. Rank 0 writes the run; what the others write lies
in a temporary folder and is dropped.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.drafts import STATE
from aitk.core.artifacts.targets import check_folder, part_of
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.distributed.gang import current_rank, gang
from aitk.core.training.checkpoint import has_state
from aitk.stages.options import TrainingOptions

_WORK = "aitk.stages.parts.ranks:open_training"


def train_with_ranks(
    stage: str,
    data: Path,
    out: Path,
    *,
    ranks: int,
    engine: str | None,
    domain: str,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    overwrite: bool = False,
    resume: bool = False,
    reporter: Reporter,
    **own: Any,
) -> Outcome:
    """Train by several processes, with the result of one on the same batches.

    Args:
        stage: ``finetune`` or ``pretrain``.
        ranks: how many processes.
        engine: address of a Ray cluster; None for processes of this machine.
        own: of the stage alone (``objective``).
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "torch":
        raise UsageError("ranks need the TensorFlow or JAX backend", where="--ranks")
    if options.accumulate > 1:
        raise UsageError(
            "Keras cannot accumulate gradients over ranks",
            where="--accumulate",
            hint="Take a larger --batch-size: each rank holds its share of it",
        )
    if not resume:
        check_folder(out, inputs=[data], options=settings, overwrite=overwrite)
    common = {
        "place": os.getcwd(),
        "stage": stage,
        "data": str(data),
        "out": str(out),
        "domain": domain,
        "options": as_dict(options),
        "settings": dict(settings),
        "overwrite": overwrite,
        "resume": resume,
        "own": own,
    }
    return Outcome(**gang(_WORK, common, ranks=ranks, engine=engine, reporter=reporter))


def open_training(
    common: Mapping[str, Any], *, reporter: Reporter
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What a rank does: the stage, and what comes out of it."""
    os.chdir(common["place"])
    rank = current_rank()
    if rank is None:
        raise UsageError("a rank has no place among others", where="TF_CONFIG")
    name = common["stage"]
    stage = getattr(importlib.import_module(f"aitk.stages.{name}"), name)
    out = Path(common["out"])
    saved = part_of(out) / STATE
    arguments: dict[str, Any] = {
        "domain": common["domain"],
        "options": resolve(TrainingOptions, common["options"]),
        "settings": common["settings"],
        "reporter": reporter,
        **common["own"],
    }

    def work(shard: Mapping[str, Any]) -> dict[str, Any]:
        resume = common["resume"] or (shard["attempt"] > 1 and has_state(saved))
        data = Path(common["data"])
        if rank.leads:
            again = common["overwrite"] or shard["attempt"] > 1
            found = stage(data, out, overwrite=again, resume=resume, **arguments)
            return dataclasses.asdict(found)
        with tempfile.TemporaryDirectory(prefix="aitk-rank-") as folder:
            own = Path(folder, "run")
            stage(data, own, state=saved if resume else None, **arguments)
        return {}

    return work
