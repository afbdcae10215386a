"""``prepare``: convert user files to checked, split, stored rows."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from aitk import __version__
from aitk.core.artifacts.data import FORMAT, TABLES, DataWriter
from aitk.core.artifacts.drafts import draft_folder
from aitk.core.contract.capabilities import DependsOnReading, Grouped, Inspects
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import as_dict
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import SPLITS, Refusal, Row
from aitk.core.contract.task import Finding, Inspector, Note, Task
from aitk.core.io.files import sha256_file, write_json
from aitk.core.reporting.report import prepare_report
from aitk.core.runtime.versions import package_versions
from aitk.registry import ENCODERS, TASKS, load_task
from aitk.stages.options import PrepareOptions
from aitk.stages.stored_rows import Accepted, Fingerprint, SplitRule, SpooledRows, write_rows

#: Minimum number of validation rows to divide: halves of fewer are too small to measure on.
MIN_DIVIDED_ROWS = 40


class Origin(Protocol):
    """Rows read by other commands (``stages.parts.prepared``)."""

    @property
    def inputs(self) -> Sequence[Path]:
        """Files of rows, if the user gave any."""

    def rows(self, task: Task, folder: Path, note: Note) -> Iterable[Row | Refusal]:
        """The rows and refusals, in the order of the sources.

        Args:
            folder: for temporary files.
            note: receives notes on automatic decisions.
        """

    def described(self) -> Sequence[Mapping[str, Any]]:
        """The sources, in the form of ``describe_sources``."""


class RowSteps(Protocol):
    """The work on single rows that follows reading: by this process or by others."""

    def inspect(self, inspector: Inspector, rule: SplitRule, digest: Fingerprint) -> Counter[str]:
        """Assign splits and count all rows in; how many each split has."""

    def write(self, open_writer: Callable[[], DataWriter], summary: Mapping[str, Any]) -> None:
        """Store all rows."""


class Workers(RowSteps, Protocol):
    """Other processes that do the work on single rows (``stages.parts.workers``), step by step."""

    def read(self, task: Task, folder: Path, note: Note) -> Accepted:
        """Read all rows; what was accepted, which has been iterated.

        Args:
            folder: for temporary files.
            note: receives notes on automatic decisions.
        """

    def described(self) -> Sequence[Mapping[str, Any]]:
        """The sources, in the form of ``describe_sources``."""


def prepare(
    sources: Sequence[str],
    out: Path,
    *,
    task: str,
    options: PrepareOptions,
    reading: Any,
    overwrite: bool = False,
    origin: Origin | None = None,
    workers: Workers | None = None,
    reporter: Reporter,
) -> Outcome:
    """Read, clean, check, split and store rows; refuse invalid ones with a reason.

    Rows pass through a spool on disk, so that memory does not grow with the data beyond a few
    bytes per row.

    Args:
        sources: the user's files, folders, ``-`` or ``tfds:NAME``.
        out: the prepared data folder to write.
        task: full name of the task, ``nlp.classify``.
        reading: the task's reading options.
        origin: the rows, if they do not come from the sources themselves.
        workers: what works on the rows, if this process does not.
    """
    worker = open_reader(task, sources, reading)
    shares = parse_shares(options.split)
    started = time.monotonic()
    inputs: list[str | Path] = [*sources, *(origin.inputs if origin else ())]
    with draft_folder(out, inputs=inputs, options=reading, overwrite=overwrite) as folder:
        notes: list[str] = []
        digest = Fingerprint()

        def open_writer(summary: Mapping[str, Any]) -> DataWriter:
            description = f"{task} rows prepared by aitk"
            return DataWriter(folder, worker.features(summary), description=description)

        if workers is not None:
            accepted = workers.read(worker, folder, notes.append)
            inspector = _inspector(worker, reading)
        else:
            if origin is not None:
                items = origin.rows(worker, folder, notes.append)
                inspector = _inspector(worker, reading)
            else:
                inspector, items = _read(
                    worker, sources, reading, folder, options, shares, reporter, note=notes.append
                )
            accepted = Accepted(items, sources, folder, most=options.max_errors)

        if isinstance(worker, Grouped):
            # All is known of the rows before the first of them comes.
            rule: SplitRule = _as_grouped
            grouped = ((row.split or "train", row.fields) for row in accepted)
            writing = digest.added(grouped)
            counts = write_rows(lambda: open_writer(inspector.summary()), writing, reporter)
            summary, findings = inspector.summary(), inspector.findings()
            pictures = summary.pop("pictures", [])
        else:
            steps: RowSteps = workers or SpooledRows(
                folder / "spool", accepted, key=worker.key, seed=options.seed, reporter=reporter
            )
            divide = options.held_out == "divide"
            rule = split_rule(accepted.named, shares, reporter, divide=divide)
            counts = steps.inspect(inspector, rule, digest)
            summary, findings = inspector.summary(), inspector.findings()
            pictures = summary.pop("pictures", [])
            if not counts["train"] and shares["train"]:
                raise DataError(
                    "no rows remain for training", hint=f"See --split (now {options.split})"
                )
            steps.write(lambda: open_writer(summary), summary)
        if refusals := accepted.note():
            reporter.note(refusals)
        if getattr(reading, "redact", None):
            rows_redacted = accepted.redacted.pop("rows", 0)
            findings.append(_redaction_finding(accepted.redacted, rows_redacted))
            summary["redacted"] = {**accepted.redacted, "rows": rows_redacted}
        row_counts = {split: counts[split] for split in SPLITS if counts[split]}
        read_by = workers or origin
        manifest: dict[str, Any] = {
            "version": FORMAT,
            "aitk": __version__,
            "task": task,
            "sources": list(read_by.described() if read_by else describe_sources(sources)),
            "notes": notes,
            "reading": as_dict(reading),
            "options": as_dict(options),
            "split_rule": summary.get("protocol", rule.__doc__),
            "rows": row_counts,
            "refused": accepted.refused,
            "fingerprint": str(digest),
            "summary": summary,
            "findings": [_finding_json(finding) for finding in findings],
            "packages": package_versions(),
            "wall_s": round(time.monotonic() - started, 2),
        }
        prepare_report(manifest, folder / "report.html", pictures=pictures)
        write_json(folder / "dataset.json", manifest)
    for note in notes:
        reporter.note(note)
    for finding in findings:
        if finding.grade in ("warning", "error"):
            reporter.warn(finding.message)
    domain = task.partition(".")[0]
    stage = "pretrain" if TASKS[task].objective else "finetune"
    return Outcome(
        facts={
            "data": str(out),
            "task": task,
            "rows": row_counts,
            "refused": accepted.refused,
            "labels": summary.get("labels", []),
            "fingerprint": manifest["fingerprint"],
            "findings": manifest["findings"],
            "report": str(out / "report.html"),
        },
        table=[
            {"check": finding.check, "grade": finding.grade, "finding": finding.message}
            for finding in findings
        ],
        refused=accepted.refused,
        next=(
            f"aitk {domain} {stage} {out} --out RUN"
            if counts["train"]
            else f"aitk {domain} evaluate RUN --data {out}"
        ),
    )


def open_reader(task: str, sources: Sequence[str], reading: Any) -> Task:
    """The task that reads these sources.

    Raises:
        UsageError: the same source is given twice.
    """
    worker = load_task(task)
    if isinstance(worker, DependsOnReading):
        worker = worker.for_reading(reading)
    if twice := _given_twice(sources):
        raise UsageError("is given twice, so its rows would count twice", where=twice)
    return worker


def parse_shares(split: str) -> dict[str, float]:
    """``80/10/10`` -> the share of each split.

    Raises:
        UsageError: not three numbers, or their sum is not 100.
    """
    parts = split.split("/")
    try:
        shares = [float(part) for part in parts]
    except ValueError:
        shares = []
    adds_up = abs(sum(shares) - 100) <= 1e-6  # false for NaN
    if len(shares) != 3 or not adds_up or min(shares) < 0:
        raise UsageError(
            f"cannot read {split!r}",
            where="--split",
            hint="Use three percentages that add up to 100, such as 80/10/10",
        )
    return {name: share / 100 for name, share in zip(SPLITS, shares, strict=True)}


def hash_position(key: str, seed: int) -> float:
    """Position of a row in [0, 1), by its key alone, so that adding rows moves none."""
    digest = blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _read(
    task: Task,
    sources: Sequence[str],
    reading: Any,
    folder: Path,
    options: PrepareOptions,
    shares: Mapping[str, float],
    reporter: Reporter,
    *,
    note: Note,
) -> tuple[Inspector, Iterable[Row | Refusal]]:
    """The inspector of the rows, and the rows, read lazily."""
    if isinstance(task, Grouped):
        grouped = task.group(
            sources,
            reading,
            shares=shares,
            seed=options.seed,
            tables=folder / TABLES,
            embed=functools.partial(_embed, reporter=reporter),
            note=note,
            reporter=reporter,
        )
        return grouped, grouped
    items = task.read(sources, reading, labelled=True, note=note)
    return _inspector(task, reading), reporter.track(items, "reading")


def _inspector(task: Task, reading: Any) -> Inspector:
    if not isinstance(task, Inspects):
        raise TypeError(f"{task.name} is neither Inspects nor Grouped")
    return task.inspector(reading)


def _embed(source: str, values: Sequence[Any], *, kind: str, reporter: Reporter) -> Any:
    from aitk.core.inference.embedding import embed

    return embed(source, values, kind=kind, encoders=ENCODERS, task_of=load_task, reporter=reporter)


def _as_grouped(split: str | None, key: str, seed: int) -> str | None:
    """as the task groups its rows"""
    del key, seed
    return split


def split_rule(
    named: Mapping[str | None, int],
    shares: Mapping[str, float],
    reporter: Reporter,
    *,
    divide: bool,
) -> SplitRule:
    """Choose the rule that assigns a split. The rule's docstring is stored in ``dataset.json``.

    Args:
        divide: divide validation rows if the files have no test rows, so that separate rows
            select the epoch and give the score.
    """
    given = {name for name in named if name}

    def by_hash(split: str | None, key: str, seed: int) -> str:
        """by a hash of the row's key"""
        del split
        position = hash_position(key, seed)
        if position < shares["train"]:
            return "train"
        return "validation" if position < shares["train"] + shares["validation"] else "test"

    def as_named(split: str | None, key: str, seed: int) -> str:
        """as the files name it, rows without a name by a hash of their key"""
        return split or by_hash(None, key, seed)

    def as_named_without_validation(split: str | None, key: str, seed: int) -> str:
        """as the files name it, validation cut out of train by a hash of the row's key"""
        if split != "train":
            return as_named(split, key, seed)
        kept = shares["train"] / (shares["train"] + shares["validation"])
        return "train" if hash_position(key, seed) < kept else "validation"

    def as_named_with_divided_validation(split: str | None, key: str, seed: int) -> str:
        """as the files name it, validation divided into validation and test by a hash of the key"""
        if split != "validation":
            return as_named(split, key, seed)
        return "validation" if hash_position(f"held out\0{key}", seed) < 0.5 else "test"

    if not given or given == {"train"}:
        return by_hash
    if "train" not in given and None not in named and shares["train"]:
        raise DataError(
            f"the files contain only {' and '.join(sorted(given))} rows and no training rows",
            hint="Add the training file, rename the file to have it split, or prepare rows that"
            " only score a model with --split 0/0/100",
        )
    reporter.note(f"splits given by the files: {', '.join(sorted(given))}")
    if "validation" not in given and shares["validation"]:
        reporter.note("no validation file: a part of the training rows is held out")
        return as_named_without_validation
    if "test" not in given and None not in named and shares["train"]:
        reason = "no test file: the validation rows would both select the epoch and give the score"
        if divide and shares["test"] and named["validation"] >= MIN_DIVIDED_ROWS:
            reporter.note(f"{reason}, so half of them become test rows (see --held-out)")
            return as_named_with_divided_validation
        reporter.warn(f"{reason}, which inflates it")
    return as_named


def _given_twice(sources: Sequence[str]) -> str | None:
    """The first source that equals an earlier one, perhaps by another path or a link."""
    seen = set[Any]()
    for source in sources:
        identity: Any = source
        if source != "-" and os.path.exists(source):
            found = os.stat(source)
            identity = (found.st_dev, found.st_ino)
        if identity in seen:
            return source
        seen.add(identity)
    return None


def describe_sources(sources: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Identify each file by its content, and other sources by name."""
    for source in sources:
        path = Path(source)
        if source != "-" and os.path.isdir(path):
            files = sorted(file for file in path.rglob("*") if file.is_file())
            digest = hashlib.sha256()
            for file in files:
                name = os.fsencode(file.relative_to(path))
                digest.update(name + f"\0{sha256_file(file)}\n".encode())
            yield {"source": source, "sha256": digest.hexdigest(), "files": len(files)}
        elif source != "-" and os.path.isfile(path):
            yield {"source": source, "sha256": sha256_file(path), "bytes": path.stat().st_size}
        else:
            yield {"source": source}


def _redaction_finding(kinds: Mapping[str, int], rows: int) -> Finding:
    counted = [f"{count:,} {kind}" for kind, count in sorted(kinds.items())]
    message = f"personal data replaced in {rows:,} rows: {', '.join(counted) or 'none found'}"
    return Finding("personal data", "ok", message, {"kinds": dict(kinds), "rows": rows})


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "grade": finding.grade,
        "message": finding.message,
        "details": dict(finding.details),
    }
