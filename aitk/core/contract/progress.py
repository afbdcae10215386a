"""Progress-reporting protocol. Stages talk to a ``Reporter``; only ``cli/output.py`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from aitk.core.runtime import interrupts

Item = TypeVar("Item")


class Reporter(Protocol):
    """Talk for a person, on stderr. Never data."""

    def note(self, text: str) -> None:
        """Say one plain line."""

    def warn(self, text: str) -> None:
        """Say one line that a person should act on."""

    def status(self, text: str) -> None:
        """Say what is being done, where its end cannot be foreseen: starting TensorFlow."""

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        """Show the scores of an epoch that has ended.

        Args:
            row: what a person watches: epoch, loss, metrics, seconds.
            best: the number of the best epoch so far.
            epochs: how many there will be at most.
        """

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        """Pass the items on, showing how many are done, the rate and the time left.

        Raises:
            Interrupted: between two items, where a signal asked to stop.
        """

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Show the state of work that is not a loop over items (training steps)."""


class Silent:
    """A reporter that says nothing: for tests and for ``--quiet``."""

    def note(self, text: str) -> None:
        del text

    def warn(self, text: str) -> None:
        del text

    def status(self, text: str) -> None:
        del text

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        del row, best, epochs

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        del what, total
        for item in items:
            yield item
            interrupts.check()

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        del what, done, total, detail
