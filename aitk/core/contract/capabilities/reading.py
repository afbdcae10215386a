"""Abilities of reading and checking rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT_contra, Finding, Inspector, Note, Task

if TYPE_CHECKING:
    from aitk.core.contract.progress import Reporter


class Embed(Protocol):
    """Embeds values with an encoder, which may belong to another domain."""

    def __call__(self, source: str, values: Sequence[Any], *, kind: str) -> np.ndarray:
        """(values, d) float32, zero rows for None; see ``core.inference.embedding.embed``."""


class GroupedRows(Protocol):
    """The rows derived from a whole log, and the findings about it (an ``Inspector``).

    The findings are complete when the first row comes. Fields may be arrays.
    """

    def __iter__(self) -> Iterator[Row | Refusal]: ...

    def add(self, row: Row, split: str) -> None: ...

    def findings(self) -> list[Finding]: ...

    def summary(self) -> dict[str, Any]: ...


@runtime_checkable
class Inspects(Protocol):
    """A task whose rows are independent, and checked one by one. Every other one is ``Grouped``."""

    @abstractmethod
    def inspector(self, reading: Any) -> Inspector:
        """A new inspector of data quality."""


@runtime_checkable
class Mergeable(Inspector, Protocol):
    """An inspector whose statistics of consecutive rows, taken by several processes, merge into
    those of one process, to the last digit."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was found so far: values that ``marshal`` stores."""

    @abstractmethod
    def merge(self, state: Mapping[str, Any]) -> None:
        """Count in the rows that follow, of which another inspector gave this ``state``."""


@runtime_checkable
class Grouped(Protocol[AssetsT_contra]):
    """A task whose rows depend on each other (events of one log), so it groups and splits them."""

    @abstractmethod
    def group(
        self,
        sources: Sequence[str],
        reading: Any,
        *,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        embed: Embed,
        note: Note,
        reporter: Reporter,
    ) -> GroupedRows:
        """Read the user's files and derive the stored rows; refusals are passed through.

        Args:
            shares: share of each split.
            tables: folder for Parquet tables stored with the rows.
            embed: embeds texts, images or audio with any encoder.
        """

    @abstractmethod
    def check_tables(self, tables: Path, assets: AssetsT_contra) -> None:
        """Raise ``ArtifactError`` if rows of other data are incompatible with the assets.

        Args:
            tables: tables that ``group`` wrote for these rows.
        """


@runtime_checkable
class DependsOnReading(Protocol):
    """A task whose targets and metric depend on its reading options: one label, or several."""

    @abstractmethod
    def for_reading(self, reading: Any) -> Task[Any]:
        """The task variant for rows read with these options."""


@runtime_checkable
class CountsReading(Protocol):
    """A task that counts during reading what its inspector reports."""

    @abstractmethod
    def reading_counts(self) -> dict[str, Any]:
        """The counts as JSON, once every row has been read."""

    @abstractmethod
    def set_reading_counts(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Go on as if this process had read the rows itself.

        Args:
            parts: what ``reading_counts`` gave in each of the processes that read them.

        Returns:
            Notes that can only be made of all of it.
        """


@runtime_checkable
class ReadsRecords(Protocol):
    """A task that can pass over records without opening the files that they name."""

    @abstractmethod
    def read_records(
        self, sources: Sequence[str], reading: Any, *, note: Note, wanted: Callable[[int], bool]
    ) -> Iterator[tuple[int, Row | Refusal]]:
        """Labelled rows, as ``read`` gives them, each with the number of its record from 0.

        Args:
            wanted: is asked once for each record, in order.
        """


@runtime_checkable
class HasLanguages(Protocol):
    """A task whose scores are also reported per language."""

    @abstractmethod
    def language(self, fields: Mapping[str, Any]) -> str:
        """The code of a row's language; ``und`` where it is not clear."""


@runtime_checkable
class ReadsOptions(Protocol):
    """A task whose predict options can contain rows, so that no file is needed."""

    @abstractmethod
    def rows_in_options(self, options: Any, reading: Any) -> Sequence[Row]:
        """The rows in the options, if any, read like those of files."""
