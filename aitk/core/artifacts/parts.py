"""Parts of a result, each made by a process of its own, which ``aitk join`` puts together.

Part K of N of ``NAME`` is called ``NAME.K-of-N``. Its header says what it is a part of: parts of
one result have equal identities, and every number from 1 to N must be there once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.io.json_files import Count, Size, check_shape

FORMAT = 1
MAX_PARTS = 100_000
#: So many records in a row belong to one part of ``prepare``.
BLOCK = 16
_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})")

#: The shape of a header, whatever the part holds.
HEADER = {
    "version": Count,
    "aitk": str,
    "stage": str,
    "part": [Size],
    "identity": str,
}


@dataclass(frozen=True)
class PartNumber:
    """Part ``number`` of ``total``, from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def name(self, out: Path) -> Path:
        """Where this part of ``out`` is written."""
        return out.parent / f"{out.name}.{self.number}-of-{self.total}"

    def holds(self, index: int) -> bool:
        """Whether record ``index``, from 0, belongs to this part: blocks of records go round."""
        return index // BLOCK % self.total == self.number - 1


@dataclass(frozen=True)
class Part:
    """A part that lies on disk.

    Attributes:
        path: a folder (of ``prepare``) or a file (of ``predict``).
        header: what it says of itself.
    """

    path: Path
    header: Mapping[str, Any]

    @property
    def number(self) -> PartNumber:
        return PartNumber(*self.header["part"])


def parse_part(text: str) -> PartNumber:
    """``3/16`` -> part 3 of 16.

    Raises:
        UsageError: it is something else.
    """
    found = _TEXT.fullmatch(text.strip())
    number, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= total <= MAX_PARTS:
        raise UsageError(
            f"cannot read {text!r}", where="--part", hint="Write K/N, such as 3/16 for the third"
        )
    return PartNumber(number, total)


def check_header(header: Any, *, where: str) -> None:
    """Refuse what is no header, or one of a newer aitk.

    Raises:
        ArtifactError: says why.
    """
    check_shape(header, HEADER, where=where)
    if header["version"] > FORMAT:
        raise ArtifactError("written by a newer aitk", where=where, hint="Update aitk")
    if len(header["part"]) != 2 or not 1 <= header["part"][0] <= header["part"][1] <= MAX_PARTS:
        raise ArtifactError("names no part that can be", where=where, hint=_AGAIN)


def in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts by number, if they are all the parts of one result.

    Raises:
        UsageError: one is given twice.
        ArtifactError: one is missing, or belongs to another result.
    """
    first = parts[0]
    for part in parts:
        if part.header["stage"] != first.header["stage"]:
            raise ArtifactError(
                f"is a part of {part.header['stage']}, and {first.path} one of"
                f" {first.header['stage']}",
                where=str(part.path),
            )
        if part.number.total != first.number.total:
            raise ArtifactError(
                f"is part {part.number}, and {first.path} part {first.number}: of other parts",
                where=str(part.path),
            )
        if part.header["identity"] != first.header["identity"]:
            raise ArtifactError(
                f"was made from other inputs or options than {first.path}",
                where=str(part.path),
                hint="Make all parts with the same command but for --part",
            )
    numbered: dict[int, Part] = {}
    for part in parts:
        number = part.number.number
        if number in numbered:
            raise UsageError(
                f"is part {part.number}, and so is {numbered[number].path}",
                where=str(part.path),
                hint="Give each part once",
            )
        numbered[number] = part
    total = first.number.total
    missing = [number for number in range(1, total + 1) if number not in numbered]
    if missing:
        listed = ", ".join(map(str, missing[:10])) + ", ..." * (len(missing) > 10)
        raise ArtifactError(
            f"missing of {total} parts: {listed}",
            hint=f"Make it with --part {missing[0]}/{total}, and name all parts",
        )
    return [numbered[number] for number in range(1, total + 1)]


_AGAIN = "Make this part again"
