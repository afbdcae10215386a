"""The file of a part of predictions: a header, and a line per window.

It holds rows before they are formatted as text; joining formats them as if one process had
predicted them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from aitk import __version__
from aitk.core.artifacts.parts import FORMAT, Part, PartNumber
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import as_dict
from aitk.core.io.json_files import Count, parse_line
from aitk.core.io.spool import dump_line, load_line
from aitk.stages.request import Predicted, Request

STAGE = "predict"
MARK = '{"aitk_part": '
MAX_HEADER_BYTES = 1 << 20
#: Header fields of such a part besides ``parts.HEADER``.
SHAPE = {
    "run": str,
    "domain": str,
    "inputs": [str],
    "format": str,
    "options": dict,
    "predict_options": dict,
    "located": dict,
    "records": Count,
}
_FIELDS = dataclasses.fields(Predicted)
_WINDOW_KEYS = {"rows", "refused", "last", "batches", "facts"}


def read_part(path: Path) -> Part:
    """Open a part.

    Raises:
        ArtifactError: the file is not a part.
    """
    with path.open("rb") as file:
        line = file.readline(MAX_HEADER_BYTES)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text.startswith(MARK) or not text.endswith("\n"):
        raise ArtifactError(
            "is not a part of a result", where=str(path), hint="Make parts with --part K/N"
        )
    return Part(path, parse_line(text, where=str(path))["aitk_part"])


def header_line(request: Request, part: PartNumber, records: int) -> str:
    """The first line of a part.

    Args:
        records: number of records of the part.
    """
    header = {
        "version": FORMAT,
        "aitk": __version__,
        "stage": STAGE,
        "part": list(dataclasses.astuple(part)),
        "identity": request.identity(),
        "run": str(request.run),
        "domain": request.domain,
        "inputs": [*request.inputs],
        "format": Path(request.out).suffix.lower(),
        "options": as_dict(request.options),
        "predict_options": as_dict(request.chosen),
        "located": dict(request.located),
        "records": records,
    }
    return dump_line({"aitk_part": header}) + "\n"


def window_line(window: Predicted) -> str:
    """The line of a window."""
    return dump_line({field.name: getattr(window, field.name) for field in _FIELDS}) + "\n"


def read_windows(lines: Iterable[str], *, where: str) -> Iterator[Predicted]:
    """The windows of the lines behind the header.

    Raises:
        ArtifactError: a line is damaged.
    """
    for line in lines:
        value = load_line(line, where=where)
        if not isinstance(value, dict) or value.keys() != _WINDOW_KEYS:
            raise ArtifactError("is damaged", where=where, hint="Make this part again")
        value["last"] = value["last"] and tuple(value["last"])
        yield Predicted(**value)


def is_part(path: Path) -> bool:
    """Whether a file begins as a part does."""
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()
