"""The state of an interrupted training, sufficient for bit-identical results.

Weights, optimizer slots and dropout seeds are Keras variables; order and masking follow from (seed,
epoch, step), so only the position must be stored. Both are in one file that is replaced by a
rename: at any time, a complete state exists.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.targets import part_of
from aitk.core.contract.errors import ArtifactError

STATE = "training.npz"
PROGRESS, VARIABLE, BEST = "progress", "variable", "best"


def has_state(folder: Path) -> bool:
    """Whether a training can be resumed from this folder."""
    return (folder / STATE).is_file()


def save_state(folder: Path, *, variables: Sequence[Any], progress: dict[str, Any]) -> None:
    """Replace the state in ``folder``; after a crash, either the old or the new one is complete.

    Args:
        variables: every Keras variable changed by training, in a fixed order.
        progress: JSON values, and NumPy arrays under ``best_weights``.
    """
    best = progress.get("best_weights")
    values = {key: value for key, value in progress.items() if key != "best_weights"}
    values["arrays"] = {VARIABLE: len(variables), BEST: None if best is None else len(best)}
    arrays = {PROGRESS: np.frombuffer(json.dumps(values).encode(), np.uint8)}
    arrays |= {f"{VARIABLE}-{at}": np.asarray(each) for at, each in enumerate(variables)}
    arrays |= {f"{BEST}-{at}": each for at, each in enumerate(best or ())}
    folder.mkdir(parents=True, exist_ok=True)
    part = part_of(folder / STATE)
    with part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / STATE)


def load_progress(folder: Path) -> dict[str, Any]:
    """The position of the interrupted training: the saved progress, and its ``variables``."""
    path = folder / STATE
    try:
        with np.load(path, allow_pickle=False) as archive:
            progress = json.loads(archive[PROGRESS].tobytes())
            counts = progress.pop("arrays")
            for name, kind in (("variables", VARIABLE), ("best_weights", BEST)):
                if counts[kind] is not None:
                    progress[name] = [archive[f"{kind}-{at}"] for at in range(counts[kind])]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"the training state is damaged ({error})",
            where=str(path),
            hint="Start again with --overwrite",
        ) from error
    return progress


def restore_variables(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Assign saved values, refusing the state of another model."""
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise ArtifactError(
            "the training state belongs to another model or other options",
            hint="Repeat the exact command with --resume, or start again with --overwrite",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
