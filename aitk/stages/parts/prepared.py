"""``prepare --part``: several commands read the rows, and one joins them.

A part holds the rows of every N-th block of records, each with the index of its record, so that
the total number of records need not be known. Joined in the order of these indices, they go
through the rest of ``prepare`` as if it had read them itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk import __version__
from aitk.core.artifacts.drafts import draft_folder
from aitk.core.artifacts.parts import BLOCK, FORMAT, Part, PartNumber
from aitk.core.contract.capabilities import CountsReading, Grouped, ReadsRecords
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, Task, once
from aitk.core.io.files import described, fingerprint, write_json
from aitk.core.io.json_files import Count, check_shape, read_json
from aitk.core.io.spool import dump_line, load_line
from aitk.registry import TASKS, load
from aitk.stages.options import PrepareOptions
from aitk.stages.prepare import describe_sources, open_reader, parse_shares, prepare

STAGE = "prepare"
ROWS, HEADER_FILE = "rows.jsonl", "part.json"
#: Header fields of such a part besides ``parts.HEADER``.
SHAPE = {
    "task": str,
    "sources": [str],
    "described?": list,
    "reading": dict,
    "options": dict,
    "notes": [str],
    "counts?": dict,
    "records": Count,
    "rows": Count,
    "refused": Count,
}
_TELL_EVERY = 200  # records


def prepare_part(
    sources: Sequence[str],
    out: Path,
    part: PartNumber,
    *,
    task: str,
    options: PrepareOptions,
    reading: Any,
    overwrite: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Read the records of one part into the folder ``NAME.K-of-N``; see ``prepare``."""
    check_divisible(task, sources, reading)
    parse_shares(options.split)
    path = part.name(out)
    with draft_folder(path, inputs=sources, options=reading, overwrite=overwrite) as folder:
        header = _write_part(folder, part, sources, task, options, reading, reporter=reporter)
    domain = task.partition(".")[0]
    following = PartNumber(part.number % part.total + 1, part.total)
    return Outcome(
        facts={
            "part": str(path),
            "task": task,
            "rows": header["rows"],
            "refused": header["refused"],
            "records": header["records"],
        },
        refused=header["refused"],
        next=(
            f"aitk {domain} prepare ... --part {following}, then: aitk join {out}.*-of-{part.total}"
            f" --out {out}"
        ),
    )


def join_prepared(
    parts: Sequence[Part], out: Path, *, overwrite: bool = False, reporter: Reporter
) -> Outcome:
    """Join the parts of prepared data; the result equals that of one ``prepare``.

    Args:
        parts: all parts, in order.
    """
    for part in parts:
        check_shape(part.header, SHAPE, where=str(part.path))
    header = parts[0].header
    task = header["task"]
    if task not in TASKS:
        raise ArtifactError(f"contains rows of an unknown task {task!r}", where=str(parts[0].path))
    return prepare(
        header["sources"],
        out,
        task=task,
        options=resolve(PrepareOptions, header["options"]),
        reading=resolve(load(TASKS[task].reading), header["reading"]),
        overwrite=overwrite,
        origin=_Joined(parts, reporter),
        reporter=reporter,
    )


def read_part(path: Path) -> Part:
    """Open a part.

    Raises:
        ArtifactError: it is incomplete.
    """
    return Part(path, read_json(path / HEADER_FILE))


def check_divisible(task: str, sources: Sequence[str], reading: Any) -> None:
    """Refuse sources that cannot be split among processes.

    Raises:
        UsageError: with the reason.
    """
    if isinstance(open_reader(task, sources, reading), Grouped):
        raise UsageError(
            f"rows of {task} need the whole log, which cannot be read in parts",
            where="--task",
            hint="Prepare it in one process",
        )
    if "-" in sources:
        raise UsageError("several processes cannot read stdin", where="INPUT", hint="Use a file")


@dataclass(frozen=True)
class _Joined:
    """Rows of parts on disk."""

    parts: Sequence[Part]
    reporter: Reporter

    @property
    def inputs(self) -> Sequence[Path]:
        return [part.path for part in self.parts]

    def rows(self, task: Task, folder: Path, note: Note) -> Iterator[Row | Refusal]:
        del folder
        note = once(note)
        for part in self.parts:
            for sentence in part.header["notes"]:
                note(sentence)
        if isinstance(task, CountsReading):
            counts = [part.header.get("counts", {}) for part in self.parts]
            for sentence in task.set_reading_counts(counts):
                note(sentence)
        total = sum(part.header["rows"] + part.header["refused"] for part in self.parts)
        rows = _merged([part.path / ROWS for part in self.parts])
        return iter(self.reporter.track(rows, "joining", total=total))

    def described(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.parts[0].header["described"]
        return found


def _write_part(
    folder: Path,
    part: PartNumber,
    sources: Sequence[str],
    task: str,
    options: PrepareOptions,
    reading: Any,
    *,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write the rows of a part, then its header."""
    worker = open_reader(task, sources, reading)
    notes: list[str] = []
    rows = refused = records = 0
    with (folder / ROWS).open("w", encoding="utf-8") as file:
        for number, item in numbered_rows(worker, sources, reading, part, note=notes.append):
            records = number + 1
            if number % _TELL_EVERY == 0:
                reporter.update("reading", records, None)
            if not part.holds(number):
                continue
            if isinstance(item, Refusal):
                refused += 1
                line = {"i": number, "r": item.reason, "n": item.line, "p": item.file}
                if refused > options.max_errors:
                    raise DataError(
                        f"{refused} rows refused; the last one: {item.reason}",
                        where=item.where,
                        hint=f"Fix the file or raise --max-errors (now {options.max_errors})",
                    )
            else:
                rows += 1
                line = {"i": number, "f": dict(item.fields), "s": item.split}
                line |= {"n": item.line, "p": item.file}
                if item.redacted:
                    line["x"] = dict(item.redacted)
            file.write(dump_line(line) + "\n")
    header: dict[str, Any] = {
        "version": FORMAT,
        "aitk": __version__,
        "stage": STAGE,
        "part": list(dataclasses.astuple(part)),
        "identity": fingerprint(
            {
                "task": task,
                "sources": [described(Path(source)) for source in sources],
                "reading": as_dict(reading),
                "options": as_dict(options),
            }
        ),
        "task": task,
        "sources": [*sources],
        "reading": as_dict(reading),
        "options": as_dict(options),
        "notes": notes,
        "records": records,
        "rows": rows,
        "refused": refused,
    }
    if part.number == 1:
        header["described"] = list(describe_sources(sources))
    if isinstance(worker, CountsReading):
        header["counts"] = worker.reading_counts()
    write_json(folder / HEADER_FILE, header)
    return header


def numbered_rows(
    task: Task, sources: Sequence[str], reading: Any, part: PartNumber, *, note: Note
) -> Iterator[tuple[int, Row | Refusal]]:
    """The rows with the numbers of their records; those of other parts may be left out."""
    if isinstance(task, ReadsRecords):
        return task.read_records(sources, reading, note=note, wanted=part.holds)
    return enumerate(task.read(sources, reading, labelled=True, note=note))


def _merged(files: Sequence[Path]) -> Iterator[Row | Refusal]:
    """The rows of all parts in the order of their records.

    Only one file is open at a time: there may be more parts than a process can open.
    """
    places = [0] * len(files)
    ended = [False] * len(files)
    block = 0
    while not all(ended):
        at = block % len(files)
        if not ended[at]:
            with files[at].open("rb") as file:
                file.seek(places[at])
                while True:
                    places[at] = file.tell()
                    line = file.readline()
                    if not line:
                        ended[at] = True
                        break
                    item = load_line(line.decode("utf-8"), where=str(files[at]))
                    if item["i"] // BLOCK != block:
                        break
                    yield _item(item)
        block += 1


def _item(line: Mapping[str, Any]) -> Row | Refusal:
    if "r" in line:
        return Refusal(line["p"], line["n"], line["r"])
    return Row(line["f"], line["p"], line["n"], split=line["s"], redacted=line.get("x", {}))
