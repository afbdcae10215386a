"""Log-probabilities as Kaldi archives: ``predict --out x.ark`` with its list ``x.scp``.

Text archives, which Kaldi and its readers accept like binary ones, so that an interrupted file can
be resumed and streamed like any other prediction file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.io.files import draft_file
from aitk.speech.data.formats.kaldi_files import index_ark
from aitk.speech.decoding.captions import recording_of

FIELD = "log_probabilities"


LEAST_PROBABILITY = 1e-30


def with_log_probabilities(
    predictions: Sequence[Mapping[str, Any]], probabilities: np.ndarray
) -> list[dict[str, Any]]:
    """Predictions that also report log-probabilities (rows, classes)."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)).round(6)
    return [
        {**prediction, FIELD: own.tolist()}
        for prediction, own in zip(predictions, logs, strict=True)
    ]


class ArkLines:
    """A matrix (steps, units) or vector (classes,) of natural log-probabilities per row.

    The key is the row's ``id``, as in a Kaldi data folder; otherwise the recording's name and the
    number of the row. Rows in error have no entry.
    """

    needs_columns: ClassVar[bool] = False
    #: See ``IndexedLines``.
    predict_options: ClassVar[Mapping[str, Any]] = {FIELD: True}

    def __init__(self) -> None:
        #: Number of rows so far.
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Format the entries of more rows."""
        number = int(self.columns[0]) if self.columns else 0
        entries = []
        for row in rows:
            number += 1
            if "error" not in row:
                entries.append(f"{_key(row, number)}  {_matrix(_values(row))}\n")
        self.columns = [str(number)]
        return "".join(entries)

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the first values have six decimals, which Kaldi does not write."""
        del names
        return bool(re.match(r"\S+  \[\s+-?\d+\.\d{6}[ \n]", head))

    def index_path(self, path: Path) -> Path:
        """The path of the list ``NAME.scp`` next to the archive.

        Raises:
            UsageError: the archive is not a file, or another file has that name.
        """
        index = path.with_suffix(".scp")
        if index.exists() and not _is_index(index, path):
            raise UsageError(
                "already exists and is not the list of this archive",
                where=str(index),
                hint="Choose another file with --out",
            )
        return index

    def write_index(self, path: Path) -> None:
        """Write ``KEY FILE:OFFSET`` for each entry of the finished archive."""
        with draft_file(self.index_path(path)) as file:
            for key, place in index_ark(path):
                file.write(f"{key} {path.name}:{place.offset}\n".encode())


def _is_index(index: Path, path: Path) -> bool:
    with index.open("rb") as file:
        head = file.read(4096).decode("utf-8", errors="replace")
    return bool(re.match(rf"\S+ {re.escape(path.name)}:\d+(\n|$)", head)) or not head


def _key(row: Mapping[str, Any], number: int) -> str:
    if row.get("id"):
        return "_".join(str(row["id"]).split())
    name = "_".join(recording_of(row).split()) or "row"
    return f"{name}-{number:07}"


def _values(row: Mapping[str, Any]) -> Sequence[Any]:
    """The log-probabilities of a row, from its prediction in the last field."""
    for name in reversed(list(row)):
        if name.removeprefix("predicted_") == FIELD and isinstance(row[name], list):
            return row[name]
    raise UsageError(
        "an archive needs log-probabilities, but the predictions have none",
        where="--no-log-probabilities",
        hint="Leave it out",
    )


def _matrix(values: Sequence[Any]) -> str:
    """Format numbers as a Kaldi vector, and lists of numbers as a matrix."""
    if values and isinstance(values[0], list):
        lines = ("  " + " ".join(f"{value:.6f}" for value in line) for line in values)
        return "[\n" + "\n".join(lines) + " ]"
    return "[ " + " ".join(f"{value:.6f}" for value in values) + " ]"
