"""Try hostile inputs for a while: ``python tests/fuzz/run.py --minutes 60``.

Attempts that end badly are kept in a folder, made as small as their fault allows, one of each
kind. What was found once is not reported again, so that the search goes on behind it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import hostile
from harness import Harness, kind_of, save
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

ROUND = 50  # attempts; each round begins from another seed
SHRINK_SECONDS = 30.0  # for making an attempt that failed smaller


class Search:
    """Looks for attempts with faults of kinds that were not seen before.

    Attributes:
        found: kind of fault -> what is wrong with the smallest attempt that shows it.
    """

    def __init__(
        self,
        harness: Harness,
        *,
        runs: Mapping[str, Sequence[str]],
        report: Callable[[hostile.Attempt, list[str]], None],
    ):
        self._harness, self._runs, self._report = harness, runs, report
        self.found: dict[str, list[str]] = {}

    def round(self, number: int, *, until: float) -> None:
        """Try attempts of one seed up to a time; report the smallest that has a new fault."""
        ended: dict[object, list[str]] = {}
        worst: list[tuple[hostile.Attempt, list[str]]] = []

        @seed(number)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(hostile.attempts(self._runs))
        def check(attempt: hostile.Attempt) -> None:
            nonlocal until
            if attempt.key not in ended:
                # An attempt that has been made ends as it did; in the end, no other is made.
                over = time.monotonic() > until
                ended[attempt.key] = [] if over else self._harness.faults(attempt)
            faults = ended[attempt.key]
            if any(kind_of(fault) not in self.found for fault in faults):
                if not worst:
                    until = time.monotonic() + SHRINK_SECONDS
                worst.append((attempt, faults))
                raise AssertionError(kind_of(faults[0]))

        try:
            check()
        except AssertionError:
            attempt, faults = worst[-1]
            self.found |= {kind_of(fault): faults for fault in faults}
            self._report(attempt, faults)


def search(
    *,
    seconds: float,
    runs: Mapping[str, Sequence[str]],
    first: int = 0,
    rounds: int | None = None,
    report: Callable[[hostile.Attempt, list[str]], None] = lambda attempt, faults: None,
) -> tuple[Harness, Search]:
    """Search for some time, or some rounds.

    Args:
        first: the seed of the first round.
        report: is told of each attempt with a new fault.
    """
    until = time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as root,
        contextlib.closing(Harness(Path(root))) as harness,
    ):
        found = Search(harness, runs=runs, report=report)
        with contextlib.suppress(KeyboardInterrupt):
            for number in itertools.count(first):
                if time.monotonic() > until or (rounds is not None and number - first >= rounds):
                    break
                found.round(number, until=until)
    return harness, found


def main() -> int:
    """Search, keep what was found, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--run", action="append", default=[], metavar="DOMAIN=RUN",
                        help="a run that predicts without TensorFlow")  # fmt: skip
    told = parser.parse_args()
    runs: dict[str, list[str]] = {}
    for item in told.run:
        domain, _, run = item.partition("=")
        runs.setdefault(domain, []).append(os.path.abspath(run))
    numbers = itertools.count(1)

    def keep(attempt: hostile.Attempt, faults: list[str]) -> None:
        folder = told.failures / f"{told.seed}-{next(numbers)}"
        save(attempt, faults, folder)
        print(f"{folder}: {faults[0]}", flush=True)  # noqa: T201

    harness, found = search(seconds=60 * told.minutes, first=told.seed, runs=runs, report=keep)
    print(harness.summary())  # noqa: T201
    print(f"{len(found.found)} kinds of faults")  # noqa: T201
    return 1 if found.found else 0


if __name__ == "__main__":
    sys.exit(main())
