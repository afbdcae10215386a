"""Many names in little memory."""

from __future__ import annotations

from array import array


class Names:
    """A list of names that holds their bytes in one piece."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("Q", [0])

    def append(self, name: str) -> None:
        self._text += name.encode("utf-8", errors="replace")
        self._ends.append(len(self._text))

    def __getitem__(self, row: int) -> str:
        return self._text[self._ends[row] : self._ends[row + 1]].decode()
