"""Ranges of windows: the pieces that ``predict`` is divided into, and their predictions.

The last digits of a model's outputs depend on the rows that share a batch. So a range begins and
ends at window boundaries, and windows equal those of a single process.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from aitk.core.artifacts.targets import is_stream
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import once
from aitk.stages.request import STDIO, Predicted, Request
from aitk.stages.session import Session


@dataclasses.dataclass(frozen=True)
class Range:
    """Consecutive windows.

    Attributes:
        start: index of the first record.
        sizes: number of records of each window.
        batches: number of batches of each next window.
    """

    start: int
    sizes: Sequence[int]
    batches: Sequence[int]

    @property
    def records(self) -> int:
        return sum(self.sizes)


class RangePredictor:
    """Predicts ranges in order, and loads the model once."""

    def __init__(self, request: Request, reporter: Reporter):
        self._request, self._reporter = request, reporter
        self._note = once(reporter.note)
        self._session: Session | None = None
        self._items: Iterator[Row | Refusal] = iter(())
        self._at: int | None = None

    def windows(self, own: Range) -> Iterator[Predicted]:
        """The predictions of a range."""
        if not own.sizes:
            return
        if self._session is None:
            self._session = self._request.session(self._reporter)
        if self._at is None or self._at > own.start:
            self._items, self._at = self._request.items(self._note), 0
        for _ in self._reporter.track(
            itertools.islice(self._items, own.start - self._at), "skipping rows of others"
        ):
            pass
        self._at = own.start
        options = self._request.options
        for size, batches in zip(own.sizes, own.batches, strict=True):
            window = list(itertools.islice(self._items, size))
            if len(window) != size:
                raise ArtifactError("has fewer rows than before", where=self._request.inputs[-1])
            self._at += size
            found = self._session.predict(
                window, batch_size=options.batch_size, top_k=options.top_k
            )
            predicted = self._request.predicted(window, found, batches)
            yield dataclasses.replace(predicted, facts=self._request.lines_facts())


def check_divisible(request: Request) -> None:
    """Refuse requests that cannot be split among processes.

    Raises:
        UsageError: with the reason.
    """
    if STDIO in request.inputs or any(is_stream(Path(name)) for name in request.inputs):
        raise UsageError("several processes cannot read a stream", where="INPUT", hint="Use a file")
    if not request.inputs:
        raise UsageError("rows in an option need a single process", where="INPUT")
    if request.options.draw is not None:
        raise UsageError("needs a single process", where="--draw", hint="Draw some rows separately")


def count_windows(request: Request, done: int, batches: int, reporter: Reporter) -> Range:
    """All windows after the first ``done`` records. Reads every record, and predicts none."""
    items = iter(reporter.track(request.items(lambda sentence: None), "counting"))
    for _ in itertools.islice(items, done):
        pass
    sizes, following = [], []
    for window, next_batches in request.windows(items, batches):
        sizes.append(len(window))
        following.append(next_batches)
    return Range(done, sizes, following)


def split_range(whole: Range, count: int) -> list[Range]:
    """Ranges of about equally many records; there may be fewer windows than ranges."""
    ends = list(itertools.accumulate(whole.sizes, initial=0))
    ranges, at = [], 0
    for number in range(1, count + 1):
        due = whole.records * number / count
        until = at
        while until < len(whole.sizes) and ends[until + 1] <= due + 1e-6:
            until += 1
        if number == count:
            until = len(whole.sizes)
        ranges.append(Range(whole.start + ends[at], whole.sizes[at:until], whole.batches[at:until]))
        at = until
    return ranges


def without_first(own: Range, done: int) -> Range:
    """The rest of a range after its first ``done`` records, which are complete windows."""
    ends = list(itertools.accumulate(own.sizes, initial=0))
    at = ends.index(done)
    return Range(own.start + done, own.sizes[at:], own.batches[at:])
