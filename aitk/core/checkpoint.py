"""The state of an interrupted training: enough to end with the same bits.

Weights, optimizer slots, and the seeds of dropout are Keras variables; order and masking follow
from (seed, epoch, step), so that a position is all that must be kept of them.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.errors import ArtifactError


def save_state(folder: Path, *, variables: list[Any], progress: dict[str, Any]) -> None:
    """Replace the state in ``folder`` by this one; a crash leaves one of the two whole.

    Args:
        folder: holds ``current/`` when this returns.
        variables: every Keras variable of model and optimizer, in their order.
        progress: JSON values; ``best`` may hold NumPy weights under ``"weights"``.
    """
    draft = folder / "next"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    np.savez(draft / "variables.npz", *[np.asarray(variable) for variable in variables])
    best = progress.pop("best_weights", None)
    if best is not None:
        np.savez(draft / "best.npz", *best)
    (draft / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
    current, retired = folder / "current", folder / "retired"
    shutil.rmtree(retired, ignore_errors=True)
    if current.exists():
        os.replace(current, retired)
    os.replace(draft, current)
    shutil.rmtree(retired, ignore_errors=True)


def load_progress(folder: Path) -> dict[str, Any]:
    """Where the interrupted training stood."""
    # Killed between the two renames of save_state, the state before it is the newest whole one.
    current = folder / "current" if (folder / "current").exists() else folder / "retired"
    try:
        progress = json.loads((current / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"the training state is damaged ({error})",
            where=str(folder),
            hint="Start anew with --overwrite",
        ) from error
    if (current / "best.npz").exists():
        progress["best_weights"] = _arrays(current / "best.npz")
    progress["variables"] = _arrays(current / "variables.npz")
    return progress


def restore_variables(variables: list[Any], values: list[np.ndarray]) -> None:
    """Assign saved values, refusing a state that belongs to another model."""
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise ArtifactError(
            "the training state belongs to another model or other options",
            hint="Repeat the exact command with --resume, or start anew with --overwrite",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _arrays(path: Path) -> list[np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[f"arr_{index}"] for index in range(len(archive.files))]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"the training state is damaged ({error})",
            where=str(path),
            hint="Start anew with --overwrite",
        ) from error
