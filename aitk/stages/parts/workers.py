"""``prepare`` with workers, each of which reads, inspects and encodes a share of the rows.

Their number is not known before they are read, so reading is divided by blocks of records. The
rows wait in files that all workers open, and their order is written down: so inspection and
encoding are divided into ranges of consecutive rows, whose statistics merge in order. The command's
own process decides what needs all rows, and appends records.
"""

from __future__ import annotations

import contextlib
import itertools
import marshal
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np

from aitk.core.artifacts.data import DataWriter
from aitk.core.artifacts.parts import BLOCK, PartNumber
from aitk.core.artifacts.record_encoder import RecordEncoder
from aitk.core.contract.capabilities import CountsReading, Inspects, Mergeable
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter, Silent
from aitk.core.contract.rows import SPLITS, Refusal, Row
from aitk.core.contract.task import Inspector, Note, Task, once
from aitk.core.distributed.map_shards import WorkerPool
from aitk.core.io.files import write_json
from aitk.core.io.json_files import read_json
from aitk.core.runtime import interrupts
from aitk.registry import TASKS, load
from aitk.stages.options import PrepareOptions
from aitk.stages.parts.prepared import check_divisible, numbered_rows
from aitk.stages.prepare import describe_sources, open_reader, parse_shares, prepare, split_rule
from aitk.stages.stored_rows import (
    Accepted,
    Block,
    Fingerprint,
    Kept,
    SplitRule,
    load_block,
    read_chunks,
    write_chunk,
)

_WORK = "aitk.stages.parts.workers:open_steps"
_RANGES = 4  # for each worker: one is joined while the next are made
_TELL_EVERY = 200  # records
_RECORDS_AT_ONCE = 64  # a record may be an image
_READ_BYTES = 1 << 20
_OPEN_FILES = 200  # there may be more workers than a process can open
#: Where consecutive rows are: bytes of the file of a part.
_PLACE = np.dtype([("part", "<u4"), ("offset", "<u8"), ("size", "<u8"), ("rows", "<u4")])
_READ, _INSPECT, _ENCODE = "read", "inspect", "encode"


def prepare_with_workers(
    sources: Sequence[str],
    out: Path,
    *,
    workers: int,
    engine: str | None,
    task: str,
    options: PrepareOptions,
    reading: Any,
    overwrite: bool = False,
    reporter: Reporter,
) -> Outcome:
    """``prepare`` with several processes, which writes the same bytes."""
    check_divisible(task, sources, reading)
    shared: dict[str, Any] = {
        "task": task,
        "options": options,
        "reading": reading,
        "reporter": reporter,
    }
    with contextlib.closing(
        RowWorkers(sources, workers=workers, engine=engine, **shared)
    ) as started:
        return prepare(sources, out, workers=started, overwrite=overwrite, **shared)


class RowWorkers:
    """The processes that work on the rows of one ``prepare``; see ``stages.prepare.Shared``."""

    def __init__(
        self,
        sources: Sequence[str],
        *,
        workers: int,
        engine: str | None,
        task: str,
        options: PrepareOptions,
        reading: Any,
        reporter: Reporter,
    ):
        common = {
            "task": task,
            "sources": [*sources],
            "options": as_dict(options),
            "reading": as_dict(reading),
            "place": os.getcwd(),
        }
        self._sources, self._options = sources, options
        self._workers, self._reporter = workers, reporter
        self._pool = WorkerPool(_WORK, common, workers=workers, engine=engine)

    def read(self, task: Task, folder: Path, note: Note) -> Accepted:
        self._folder = folder / "rows"
        self._folder.mkdir()
        numbers = range(1, self._workers + 1)
        shards = [
            {"step": _READ, "folder": str(self._folder), "part": [number, self._workers]}
            for number in numbers
        ]
        for _ in self._pool.map(shards, what="reading", reporter=self._reporter):
            pass
        headers = [read_json(self._folder / f"part-{number}.json") for number in numbers]
        self._described = headers[0]["described"]
        note = once(note)
        for sentence in itertools.chain(*(header["notes"] for header in headers)):
            note(sentence)
        if isinstance(task, CountsReading):
            for sentence in task.set_reading_counts([header["counts"] for header in headers]):
                note(sentence)
        return self._accept(folder)

    def _accept(self, folder: Path) -> Accepted:
        """Write down the order of all rows, and refuse what the workers refused."""
        entries = []
        for number in range(1, self._workers + 1):
            content = (self._folder / f"index-{number}").read_bytes()
            entries += [(block, number, *entry) for block, *entry in marshal.loads(content)]
        entries.sort(key=lambda entry: entry[0])  # a block is in one part alone, in order
        refusals = (Refusal(*each) for entry in entries for each in entry[-1])
        accepted = Accepted(refusals, self._sources, folder, most=self._options.max_errors)
        places = np.zeros(len(entries), _PLACE)
        for at, (_, number, offset, size, rows, named, redacted, _) in enumerate(entries):
            places[at] = (number, offset, size, rows)
            accepted.named.update(named)
            accepted.redacted.update(redacted)
        for _ in accepted:
            pass
        self._named = accepted.named
        self._ranges = _ranges(places["rows"], self._workers * _RANGES)
        np.save(self._folder / "places.npy", places)
        return accepted

    def described(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._described
        return found

    def inspect(self, inspector: Inspector, rule: SplitRule, digest: Fingerprint) -> Counter[str]:
        del rule  # each worker finds the same by the names
        counts = np.zeros(len(SPLITS), np.int64)
        shard = {"step": _INSPECT, "named": list(self._named.items())}
        for number, own in enumerate(self._map(shard, "inspecting")):
            splits = (self._folder / f"splits-{number}").read_bytes()
            counts += np.bincount(np.frombuffer(splits, np.uint8), minlength=len(SPLITS))
            lines = self._folder / f"lines-{number}"
            with lines.open("rb") as file:
                while content := file.read(_READ_BYTES):
                    digest.add_lines(content)
            lines.unlink()
            if _merges(inspector):
                inspector.merge(marshal.loads((self._folder / f"state-{number}").read_bytes()))
                continue
            for (fields, split, line, name), at in zip(
                _kept_rows(self._folder, own), splits, strict=True
            ):
                inspector.add(Row(fields, name, line, split=split), SPLITS[at])
                interrupts.check()
        return Counter(dict(zip(SPLITS, counts.tolist(), strict=True)))

    def write(self, open_writer: Callable[[], DataWriter], summary: Mapping[str, Any]) -> None:
        write_json(self._folder / "summary.json", summary)
        writer = open_writer()
        for number, _ in enumerate(self._map({"step": _ENCODE}, "writing")):
            for split in SPLITS:
                path = self._folder / f"records-{number}-{split}"
                with path.open("rb") as file:
                    for content in read_chunks(file):
                        writer.append(split, marshal.loads(content))
                path.unlink()
        writer.close()
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def close(self) -> None:
        self._pool.close()

    def _map(self, shard: Mapping[str, Any], what: str) -> Iterator[tuple[int, int]]:
        """Each range of rows, once its step is done."""
        shards = [
            {**shard, "folder": str(self._folder), "number": number, "range": own}
            for number, own in enumerate(self._ranges)
        ]
        total = self._named.total()
        done = self._pool.map(shards, what=what, total=total, reporter=self._reporter)
        for own, _ in zip(self._ranges, done, strict=True):
            yield own


def open_steps(common: Mapping[str, Any], *, reporter: Reporter) -> Callable[[Any], None]:
    """The work function: takes a step of a shard; see ``map_shards``."""
    os.chdir(common["place"])
    task_name = common["task"]
    options = resolve(PrepareOptions, common["options"])
    reading = resolve(load(TASKS[task_name].reading), common["reading"])
    sources = common["sources"]

    def work(shard: Mapping[str, Any]) -> None:
        # Reading counts in a task: a shard that is repeated must not find the first attempt's.
        task = open_reader(task_name, sources, reading)
        folder = Path(shard["folder"])
        if shard["step"] == _READ:
            part = PartNumber(*shard["part"])
            _read(folder, part, task, sources, reading, most=options.max_errors, reporter=reporter)
        elif shard["step"] == _INSPECT:
            _inspect(folder, shard, task, reading, options, reporter)
        else:
            _encode(folder, shard, task, reporter)

    return work


class _Part:
    """The rows of a part on their way into a file.

    Attributes:
        index: of each chunk the number of its block, its offset, bytes and rows, how many of these
            the files put into each split, how much was redacted, and what was refused.
        refused: how many records were refused.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._offset = file, 0
        self._number = 0
        self._block = Block()
        self._named, self._redacted = Counter[str | None](), Counter[str]()
        self._refusals: list[tuple[str, int, str]] = []
        self.index: list[Any] = []
        self.refused = 0

    def add(self, number: int, item: Row | Refusal) -> None:
        """Append what the next record of a block gave."""
        if number != self._number:
            self.end_chunk()
            self._number = number
        if isinstance(item, Refusal):
            self.refused += 1
            self._refusals.append((item.file, item.line, item.reason))
            return
        self._named[item.split] += 1
        if item.redacted:
            self._redacted.update(item.redacted)
            self._redacted["rows"] += 1
        if self._block.add(item):
            self.end_chunk()

    def end_chunk(self) -> None:
        """Write what waits."""
        rows = len(self._block.rows)
        if not rows and not self._refusals:
            return
        content = self._block.dump() if rows else b""
        self._file.write(content)
        counted = dict(self._named), dict(self._redacted), self._refusals
        self.index.append((self._number, self._offset, len(content), rows, *counted))
        self._offset += len(content)
        self._named.clear()
        self._redacted.clear()
        self._refusals = []


def _read(
    folder: Path,
    part: PartNumber,
    task: Task,
    sources: Sequence[str],
    reading: Any,
    *,
    most: int,
    reporter: Reporter,
) -> None:
    """Keep the rows of a part in ``rows-K``, and what is in each of its blocks in ``index-K``."""
    notes: list[str] = []
    with (folder / f"rows-{part.number}").open("wb") as file:
        kept = _Part(file)
        for number, item in numbered_rows(task, sources, reading, part, note=notes.append):
            if number % _TELL_EVERY == 0:
                reporter.update("reading", number + 1, None)
                interrupts.check()
            if part.holds(number):
                kept.add(number // BLOCK, item)
                if kept.refused > most:
                    break  # the command's process counts the refusals of all parts, and ends
        kept.end_chunk()
    (folder / f"index-{part.number}").write_bytes(marshal.dumps(kept.index))
    header: dict[str, Any] = {"notes": notes}
    if part.number == 1:
        header["described"] = list(describe_sources(sources))
    if isinstance(task, CountsReading):
        header["counts"] = task.reading_counts()
    write_json(folder / f"part-{part.number}.json", header)


def _inspect(
    folder: Path,
    shard: Mapping[str, Any],
    task: Task,
    reading: Any,
    options: PrepareOptions,
    reporter: Reporter,
) -> None:
    """Assign splits to a range of rows, take their statistics and what the digest reads."""
    named = dict(shard["named"])
    divide = options.held_out == "divide"
    rule = split_rule(named, parse_shares(options.split), Silent(), divide=divide)
    inspector = task.inspector(reading) if isinstance(task, Inspects) else None
    if not _merges(inspector):
        inspector = None
    number, seed = shard["number"], options.seed
    splits = bytearray()
    with (folder / f"lines-{number}").open("wb") as lines:
        digest = Fingerprint(lines)
        for fields, given, line, name in _counted(_kept_rows(folder, shard["range"]), reporter):
            split = rule(given, task.key(fields), seed)
            splits.append(SPLITS.index(split))
            digest.add(split, fields)
            if inspector is not None:
                inspector.add(Row(fields, name, line, split=given), split)
        digest.flush()
    (folder / f"splits-{number}").write_bytes(splits)
    if inspector is not None:
        (folder / f"state-{number}").write_bytes(marshal.dumps(inspector.state()))


def _encode(folder: Path, shard: Mapping[str, Any], task: Task, reporter: Reporter) -> None:
    """Write the records of a range of rows, by split."""
    number = shard["number"]
    encoder = RecordEncoder(task.features(read_json(folder / "summary.json")))
    splits = (folder / f"splits-{number}").read_bytes()
    waiting: list[list[Mapping[str, Any]]] = [[] for _ in SPLITS]
    with contextlib.ExitStack() as opened:
        files = [
            opened.enter_context((folder / f"records-{number}-{split}").open("wb"))
            for split in SPLITS
        ]

        def flush(at: int) -> None:
            write_chunk(files[at], marshal.dumps(list(encoder.records(waiting[at]))))
            waiting[at].clear()

        rows = _counted(_kept_rows(folder, shard["range"]), reporter)
        for (fields, *_), at in zip(rows, splits, strict=True):
            waiting[at].append(fields)
            if len(waiting[at]) == _RECORDS_AT_ONCE:
                flush(at)
        for at in range(len(SPLITS)):
            if waiting[at]:
                flush(at)


def _merges(inspector: Inspector | None) -> TypeGuard[Mergeable]:
    """Whether statistics merge: not those of a subclass that counts more than it inherits
    ``merge`` for."""
    if not isinstance(inspector, Mergeable):
        return False
    classes = type(inspector).__mro__
    merging, adding = (
        next(at for at, each in enumerate(classes) if name in vars(each))
        for name in ("merge", "add")
    )
    return merging <= adding


def _kept_rows(folder: Path, own: Sequence[int]) -> Iterator[Kept]:
    """The rows of a range of places, in order."""
    places = np.load(folder / "places.npy", mmap_mode="r")[own[0] : own[1]]
    with contextlib.ExitStack() as opened:
        files: dict[int, BinaryIO] = {}
        for number, offset, size, _ in places.tolist():
            if not size:
                continue
            if number not in files:
                if len(files) == _OPEN_FILES:
                    opened.close()
                    files.clear()
                files[number] = opened.enter_context((folder / f"rows-{number}").open("rb"))
            files[number].seek(offset)
            yield from load_block(files[number].read(size), where=str(folder))


def _ranges(rows: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Up to ``count`` ranges of places, with about equally many rows each.

    Args:
        rows: (places,) how many rows each has.
    """
    ends = np.cumsum(rows, dtype=np.int64)
    due = ends[-1] * np.arange(1, count + 1) // count
    cuts = np.unique(np.searchsorted(ends, due) + 1).tolist()
    cuts[-1] = len(rows)
    return list(itertools.pairwise([0, *cuts]))


def _counted(rows: Iterator[Kept], reporter: Reporter) -> Iterator[Kept]:
    """The same, with their count reported."""
    for count, row in enumerate(rows):
        if count % _TELL_EVERY == 0:
            reporter.update("rows", count, None)
            interrupts.check()
        yield row
