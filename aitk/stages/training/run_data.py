"""The data and the weights that a stage needs of a run that exists already."""

from __future__ import annotations

from aitk.core.artifacts.data import PreparedData, load_data
from aitk.core.artifacts.opening import check_data
from aitk.core.artifacts.run import Run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Task


def data_of(task: Task, run: Run) -> PreparedData:
    """The data a run was trained on.

    Raises:
        ArtifactError: it is missing, or has changed since.
    """
    folder = run.manifest["data"]["folder"]
    if run.data is None:
        raise ArtifactError(
            f"its data {folder} is missing",
            where=str(run.folder),
            hint="Prepare the data again in that folder",
        )
    data = load_data(run.data)
    if data.fingerprint != run.manifest["data"]["fingerprint"]:
        raise ArtifactError(f"its data {folder} has changed since training", where=str(run.folder))
    check_data(task, data)
    return data


def require_float_run(run: Run, verb: str) -> None:
    """Refuse formats without trainable weights: only Keras runs have them."""
    if run.format != "keras":
        raise UsageError(
            f"a run in the format {run.format} cannot be {verb}",
            where=str(run.folder),
            hint="Use the uncompressed run"
            + (f": {run.manifest['parent']}" if run.manifest.get("parent") else ""),
        )
