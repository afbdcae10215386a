"""Progress-reporting protocol. Stages use a ``Reporter``; only ``cli/output.py`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from aitk.core.runtime import interrupts

Item = TypeVar("Item")


class Reporter(Protocol):
    """Messages to the user, on stderr. Never data."""

    def note(self, text: str) -> None:
        """Report one plain line."""

    def warn(self, text: str) -> None:
        """Report one line that requires attention."""

    def status(self, text: str) -> None:
        """Report work of unknown duration, such as starting TensorFlow."""

    def epoch(self, row: Mapping[str, float], *, best: int, epochs: int) -> None:
        """Report the scores of a finished epoch.

        Args:
            row: values to display: epoch, loss, metrics, seconds.
            best: the number of the best epoch so far.
            epochs: maximum number of epochs.
        """

    def track(
        self, items: Iterable[Item], what: str, *, total: int | None = None
    ) -> Iterator[Item]:
        """Pass the items on, displaying their number, the rate and the remaining time.

        Raises:
            Interrupted: between two items, after a signal to stop.
        """

    def update(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Report the state of work that is not a loop over items (training steps)."""


class Silent:
    """A reporter without output, for tests and ``--quiet``."""

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
