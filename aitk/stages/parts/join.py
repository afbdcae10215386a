"""``join``: combine the parts of ``prepare --part`` or ``predict --part`` into one result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from aitk.core.artifacts.drafts import missing_hint
from aitk.core.artifacts.parts import Part, check_header, in_order
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.stages.parts import part_files, predicted, prepared


def join(
    paths: Sequence[Path],
    out: str,
    *,
    overwrite: bool = False,
    trust: bool = False,
    write: Callable[[str], None],
    reporter: Reporter,
) -> Outcome:
    """Combine all parts of one result, in their order.

    Args:
        paths: the parts, in any order.
        out: the folder or file that a single process would have written.
        trust: also open a run whose model contains a program.
        write: receives the text for stdout.

    Raises:
        UsageError: a part is given twice.
        ArtifactError: a part is missing, damaged, or of another result.
    """
    if not paths:
        raise UsageError("no parts given", where="PART")
    parts = in_order([_opened(path) for path in paths])
    if parts[0].header["stage"] == prepared.STAGE:
        return prepared.join_prepared(parts, Path(out), overwrite=overwrite, reporter=reporter)
    return predicted.join_predicted(
        parts, out, overwrite=overwrite, trust=trust, write=write, reporter=reporter
    )


def _opened(path: Path) -> Part:
    if not os.path.exists(path):
        raise ArtifactError("no such part", where=str(path), hint=missing_hint(path))
    is_folder = os.path.isdir(path)
    if is_folder and not (path / prepared.HEADER_FILE).is_file():
        raise ArtifactError(
            "is not a part of a result", where=str(path), hint="Make parts with --part K/N"
        )
    part = prepared.read_part(path) if is_folder else part_files.read_part(path)
    check_header(part.header, where=str(path))
    stage = prepared.STAGE if is_folder else part_files.STAGE
    if part.header["stage"] != stage:
        raise ArtifactError(f"is not a part of {stage}", where=str(path))
    return part
