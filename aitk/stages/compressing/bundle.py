"""``compress --bundle``: a folder that predicts on a small device, without aitk."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from aitk.core.artifacts.drafts import draft_folder
from aitk.core.artifacts.opening import open_assets, open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.capabilities import Bundled, Generative
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.edge.bundle import ENGINES, write_bundle
from aitk.registry import load_task
from aitk.stages.options import CompressOptions


def bundle(
    run: Path,
    out: Path,
    *,
    domain: str | None = None,
    options: CompressOptions,
    compress: Callable[..., Outcome],
    overwrite: bool = False,
) -> Outcome:
    """Write a bundle of a run; a run in another format than LiteRT or ONNX is compressed first.

    Args:
        compress: ``stages.compress.compress`` without the run, the folder and the options.

    Raises:
        UsageError: the task does not support bundles, or a bundle cannot include part of the run.
    """
    old = load_run(run, domain=domain)
    task = open_task(old, load_task)
    if not isinstance(task, Bundled):
        reason = (
            ": the script of a bundle calls its model once for a row, and this task several times"
            if isinstance(task, Generative)
            else ""
        )
        raise UsageError(
            f"runs of {task.name} cannot be bundled{reason}",
            where="--bundle",
            hint="Compress it instead, and predict with aitk",
        )
    parts = task.bundle(open_assets(task, old), resolve(task.reading, old.reading))
    with (
        draft_folder(out, inputs=[run], overwrite=overwrite) as draft,
        _stored(old, run, options, compress) as (small, found),
    ):
        # After distillation or calibration, the assets differ from those of the original run.
        parts = task.bundle(open_assets(task, small), resolve(task.reading, small.reading))
        sizes = write_bundle(
            draft,
            small.model_path,
            parts,
            format=small.format,
            name=out.name,
            manifest=small.manifest,
            metrics=small.metrics,
        )
    made = found.facts if found is not None else {}
    kept = {name: value for name, value in made.items() if name not in ("run", "report", "format")}
    return Outcome(
        facts={
            "bundle": str(out),
            "format": small.format,
            "bytes": sum(sizes.values()),
            **kept,
        },
        table=[{"file": name, "bytes": size} for name, size in sizes.items()],
        missed=found.missed if found is not None else None,
        next=f"python {out}/predict.py {parts.example}",
    )


@contextlib.contextmanager
def _stored(
    old: Run, folder: Path, options: CompressOptions, compress: Callable[..., Outcome]
) -> Iterator[tuple[Run, Outcome | None]]:
    """The run whose model file is bundled: the run itself, or a compressed version."""
    measuring = ("format", "resamples", "split", "calibration_rows")
    asked = {name: value for name, value in as_dict(options).items() if name not in measuring}
    changes = asked != {name: as_dict(CompressOptions())[name] for name in asked}
    if old.format in ENGINES and options.format in (None, old.format) and not changes:
        yield old, None
        return
    format = options.format or "litert"
    if format not in ENGINES:
        raise UsageError(f"a bundle needs a LiteRT or ONNX file, not {format}", where="--format")
    with tempfile.TemporaryDirectory(prefix="aitk-bundle-") as place:
        made = compress(
            folder,
            Path(place) / "run",
            options=dataclasses.replace(options, format=format),
        )
        yield load_run(Path(place) / "run"), made
