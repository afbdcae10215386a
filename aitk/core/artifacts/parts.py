"""Parts of a result, each written by a separate process, which ``aitk join`` combines.

Part K of N of ``NAME`` is called ``NAME.K-of-N``. Its header identifies the result: all parts of
one result have equal identities, and every number from 1 to N must occur once.
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
#: Number of consecutive records in one part of ``prepare``.
BLOCK = 16
_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})")

#: The shape of a header, for all kinds of parts.
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
        """The path of this part of ``out``."""
        return out.parent / f"{out.name}.{self.number}-of-{self.total}"

    def holds(self, index: int) -> bool:
        """Whether record ``index``, from 0, belongs to this part: blocks are assigned in turn."""
        return index // BLOCK % self.total == self.number - 1


@dataclass(frozen=True)
class Part:
    """A part on disk.

    Attributes:
        path: a folder (of ``prepare``) or a file (of ``predict``).
        header: its header.
    """

    path: Path
    header: Mapping[str, Any]

    @property
    def number(self) -> PartNumber:
        return PartNumber(*self.header["part"])


def parse_part(text: str) -> PartNumber:
    """Parse ``3/16`` as part 3 of 16.

    Raises:
        UsageError: the text is malformed.
    """
    found = _TEXT.fullmatch(text.strip())
    number, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= total <= MAX_PARTS:
        raise UsageError(
            f"cannot read {text!r}", where="--part", hint="Use K/N, such as 3/16 for the third part"
        )
    return PartNumber(number, total)


def check_header(header: Any, *, where: str) -> None:
    """Refuse an invalid header, or one of a newer aitk.

    Raises:
        ArtifactError: the header is invalid.
    """
    check_shape(header, HEADER, where=where)
    if header["version"] > FORMAT:
        raise ArtifactError("written by a newer aitk", where=where, hint="Update aitk")
    if len(header["part"]) != 2 or not 1 <= header["part"][0] <= header["part"][1] <= MAX_PARTS:
        raise ArtifactError("has an invalid part number", where=where, hint=_AGAIN)


def in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts by number, if they are all parts of one result.

    Raises:
        UsageError: a part is given twice.
        ArtifactError: a part is missing, or belongs to another result.
    """
    first = parts[0]
    for part in parts:
        if part.header["stage"] != first.header["stage"]:
            raise ArtifactError(
                f"is a part of {part.header['stage']}, but {first.path} one of"
                f" {first.header['stage']}",
                where=str(part.path),
            )
        if part.number.total != first.number.total:
            raise ArtifactError(
                f"is part {part.number}, but {first.path} is part {first.number}: totals differ",
                where=str(part.path),
            )
        if part.header["identity"] != first.header["identity"]:
            raise ArtifactError(
                f"was made from other inputs or options than {first.path}",
                where=str(part.path),
                hint="Create all parts with the same command except for --part",
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
            hint=f"Create it with --part {missing[0]}/{total}, and give all parts",
        )
    return [numbered[number] for number in range(1, total + 1)]


_AGAIN = "Create this part again"
