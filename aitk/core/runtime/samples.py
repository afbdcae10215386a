"""Location of the sample rows: inside an installed aitk, or next to its source."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import aitk
from aitk.core.contract.errors import ArtifactError


def sample_folder() -> Path:
    """The folder ``sample_data``."""
    package = Path(aitk.__file__).parent
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if folder.is_dir():
            return folder
    raise ArtifactError("the sample rows are missing", hint="Install aitk again")


def copy_samples(
    name: str, folder: Path, *, sidecar_files: Sequence[str] = (), source: str | None = None
) -> list[Path]:
    """Copy one task's sample rows and their variants (``NAME_new``, ``NAME_update``).

    Args:
        name: name of the file, such as ``messages.csv``.
        sidecar_files: further files, by path.
        source: their folder, for tasks of plug-ins; None for aitk's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(name).stem
    further = {Path(path).name for path in sidecar_files}
    found = sorted(
        path
        for path in (Path(source) if source else sample_folder()).iterdir()
        if (path.stem in (stem, f"{stem}_new", f"{stem}_update") or path.name in further)
        and path.is_file()
    )
    return [Path(shutil.copyfile(path, folder / path.name)) for path in found]
