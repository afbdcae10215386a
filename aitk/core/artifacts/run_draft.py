"""A run being written, which is complete or absent.

It is written as ``NAME.part`` and renamed when complete; ``NAME.part/state/`` has the state for
resuming an interrupted training.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk import __version__
from aitk.core.artifacts.drafts import STATE, draft_folder
from aitk.core.artifacts.run_layout import FORMAT, LEARNED, MODEL_FILES
from aitk.core.artifacts.targets import Named, part_of
from aitk.core.contract.errors import BudgetMissed, Interrupted
from aitk.core.io.files import write_json
from aitk.core.io.spool import dump_line


@dataclass
class RunDraft:
    """A run being written, at ``NAME.part``."""

    folder: Path

    @property
    def state(self) -> Path:
        """The folder of the state for resuming an interrupted training."""
        return self.folder / STATE

    @property
    def assets(self) -> Path:
        return self.folder / "assets"

    def resumable(self) -> bool:
        """Whether there is a complete state to resume from."""
        files = (file for _, _, found in os.walk(self.state) for file in found)
        return any(not file.endswith(".part") for file in files)

    def model_path(self, format: str) -> Path:
        return self.folder / MODEL_FILES[format]

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, encoding="utf-8")

    def write_learned(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store the rows learned in an update, for the next one."""
        with (self.folder / LEARNED).open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(dump_line(row) + "\n")

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write ``run.json``, the last file: its presence marks the run as complete."""
        write_json(
            self.folder / "run.json", {"version": FORMAT, "aitk": __version__} | dict(manifest)
        )


@contextlib.contextmanager
def new_run(
    out: Path,
    *,
    inputs: Named = (),
    options: Any = None,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[RunDraft]:
    """Write a run that is either complete or absent.

    On an error, the draft is kept only if it has a training state to resume from.

    Args:
        inputs, options, overwrite: see ``targets.check_folder``.
    """
    out = Path(out)
    draft = RunDraft(part_of(out))
    try:
        with draft_folder(
            out,
            inputs=inputs,
            options=options,
            overwrite=overwrite,
            resume=resume,
            keep=lambda part: draft.resumable(),
        ):
            draft.assets.mkdir(exist_ok=True)
            try:
                yield draft
            except BudgetMissed:  # no result: there is nothing to resume
                shutil.rmtree(draft.state, ignore_errors=True)
                raise
            if not (draft.folder / "run.json").is_file():
                raise RuntimeError(f"the run {out} was not finished")
    except Interrupted as error:
        if draft.resumable():
            raise Interrupted(error.what, hint="Continue with --resume") from error
        raise
