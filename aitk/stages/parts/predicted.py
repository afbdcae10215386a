"""``predict`` in parts: ranges of windows, joined to the file that a single process would write.

The last digits of a model's outputs depend on the rows that share a batch. So a range begins and
ends at window boundaries, and windows equal those of a single process. A part holds rows before
they are formatted as text; joining formats them as if one process had predicted them.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk import __version__
from aitk.core.artifacts.parts import FORMAT, Part, PartNumber
from aitk.core.artifacts.targets import is_stream
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import once
from aitk.core.distributed.map_shards import map_shards
from aitk.core.io.json_files import Count, check_shape, parse_line
from aitk.core.io.resumable import ResumableFile
from aitk.core.io.spool import dump_line, load_line
from aitk.stages.options import PredictOptions
from aitk.stages.predict import predict
from aitk.stages.request import STDIO, Predicted, Request, check_refused
from aitk.stages.session import Session

STAGE = "predict"
MARK = '{"aitk_part": '
MAX_HEADER_BYTES = 1 << 20
#: Header fields of such a part besides ``parts.HEADER``.
SHAPE = {
    "run": str,
    "domain": str,
    "inputs": [str],
    "format": str,
    "options": dict,
    "predict_options": dict,
    "located": dict,
    "records": Count,
}
#: Shards per worker: losing one costs little, and all workers end at about the same time.
SHARDS_PER_WORKER = 8
_WORK = "aitk.stages.parts.predicted:open_predicting"
_WINDOW_KEYS = {"rows", "refused", "last", "batches", "facts"}


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


def predict_part(
    run: Path,
    inputs: Sequence[str],
    part: PartNumber,
    *,
    out: str,
    domain: str,
    options: PredictOptions,
    predict_options: Mapping[str, Any] | None = None,
    located: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust: bool = False,
    reporter: Reporter,
) -> Outcome:
    """Predict the rows of one part into the file ``NAME.K-of-N``; see ``predict``."""
    request = Request(
        run=run,
        inputs=inputs,
        out=out,
        domain=domain,
        options=options,
        predict_options=predict_options or {},
        located=located or {},
        trust=trust,
    )
    _check_divisible(request)
    if out == STDIO or is_stream(Path(out)):
        raise UsageError("a part must be written to a separate file", where="--out")
    path = part.name(Path(out))
    sink = ResumableFile(
        path,
        identity=f"{request.identity()} {part}",
        resume=options.resume,
        overwrite=overwrite,
        inputs=request.read_files,
        options=request.chosen,
        is_own=_is_part,
    )
    try:
        own = _cut(_count(request, 0, 1, reporter), part.total)[part.number - 1]
        refused = sink.notes.get("refused", 0)
        if not sink.done:
            sink.append(_header_line(request, part, own.records), items=0, notes={})
        rest = _after(own, sink.done)
        worker = _Predictor(request, reporter)
        for window in worker.windows(rest):
            refused += window.refused
            sink.append(_window_line(window), items=len(window.rows), notes={"refused": refused})
            reporter.update("predicting", sink.done, own.records)
            check_refused(refused, window, options)
        sink.finish()
    finally:
        sink.leave()
    following = PartNumber(part.number % part.total + 1, part.total)
    return Outcome(
        facts={
            "run": str(run),
            "part": str(path),
            "rows": sink.done,
            "first_row": own.start + 1,
            "refused": refused,
        },
        refused=refused,
        next=(
            f"aitk {domain} predict ... --part {following}, then: aitk join {out}.*-of-{part.total}"
            f" --out {out}"
        ),
    )


def predict_with_workers(
    run: Path,
    inputs: Sequence[str],
    *,
    workers: int,
    engine: str | None,
    out: str,
    domain: str,
    options: PredictOptions,
    predict_options: Mapping[str, Any] | None = None,
    located: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust: bool = False,
    write: Callable[[str], None],
    reporter: Reporter,
) -> Outcome:
    """``predict`` with several processes; the result is byte-identical to that of one."""

    def predicted(request: Request, done: int, batches: int) -> Iterator[Predicted]:
        _check_divisible(request)
        ranges = _cut(_count(request, done, batches, reporter), workers * SHARDS_PER_WORKER)
        ranges = [each for each in ranges if each.sizes]
        common = {
            "place": os.getcwd(),
            "run": str(run),
            "inputs": [*inputs],
            "out": out,
            "domain": domain,
            "options": as_dict(options),
            "predict_options": as_dict(request.chosen),
            "located": dict(request.located),
            "trust": trust,
        }
        # Next to the result, where workers of other machines can write as well.
        parent = None if out == STDIO or is_stream(Path(out)) else Path(out).absolute().parent
        folder = Path(tempfile.mkdtemp(prefix=".aitk-shards-", dir=parent))
        shards = [
            {"file": str(folder / f"{number}.jsonl"), **dataclasses.asdict(each)}
            for number, each in enumerate(ranges)
        ]
        try:
            for place in map_shards(
                _WORK,
                common,
                shards,
                workers=workers,
                what="predicting",
                total=sum(each.records for each in ranges),
                engine=engine,
                reporter=reporter,
            ):
                with Path(place).open(encoding="utf-8") as file:
                    yield from _windows_of(file, where=place)
                Path(place).unlink()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return predict(
        run,
        inputs,
        out=out,
        domain=domain,
        options=options,
        predict_options=predict_options,
        located=located,
        overwrite=overwrite,
        trust=trust,
        write=write,
        predicted=predicted,
        reporter=reporter,
    )


def join_predicted(
    parts: Sequence[Part],
    out: str,
    *,
    overwrite: bool = False,
    trust: bool = False,
    write: Callable[[str], None],
    reporter: Reporter,
) -> Outcome:
    """Join the parts of predictions; the file is byte-identical to that of one ``predict``.

    Args:
        parts: all parts, in order.
    """
    for part in parts:
        check_shape(part.header, SHAPE, where=str(part.path))
    header = parts[0].header
    if out != STDIO and Path(out).suffix.lower() != header["format"]:
        raise UsageError(
            f"the parts were made for a file with the extension {header['format']}",
            where="--out",
            hint="Use such a file",
        )

    def predicted(request: Request, done: int, batches: int) -> Iterator[Predicted]:
        del request, done, batches
        total, joined = sum(part.header["records"] for part in parts), 0
        for part in parts:
            with part.path.open(encoding="utf-8") as file:
                file.readline()
                before = joined
                for window in _windows_of(file, where=str(part.path)):
                    joined += len(window.rows)
                    yield window
                    reporter.update("joining", joined, total)
            if joined - before != part.header["records"]:
                raise ArtifactError(
                    f"has {joined - before} rows instead of {part.header['records']}",
                    where=str(part.path),
                    hint="Make this part again",
                )

    return predict(
        Path(header["run"]),
        header["inputs"],
        out=out,
        domain=header["domain"],
        options=resolve(PredictOptions, header["options"] | {"resume": False}),
        predict_options=header["predict_options"],
        located=header["located"],
        overwrite=overwrite,
        trust=trust,
        write=write,
        predicted=predicted,
        reporter=reporter,
    )


def read_part(path: Path) -> Part:
    """Open a part.

    Raises:
        ArtifactError: the file is not a part.
    """
    with path.open("rb") as file:
        line = file.readline(MAX_HEADER_BYTES)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text.startswith(MARK) or not text.endswith("\n"):
        raise ArtifactError(
            "is not a part of a result", where=str(path), hint="Make parts with --part K/N"
        )
    return Part(path, parse_line(text, where=str(path))["aitk_part"])


def open_predicting(common: Mapping[str, Any], *, reporter: Reporter) -> Any:
    """The work function of ``--workers``: predicts the range of a shard into its file."""
    os.chdir(common["place"])
    request = Request(
        run=Path(common["run"]),
        inputs=common["inputs"],
        out=common["out"],
        domain=common["domain"],
        options=resolve(PredictOptions, common["options"]),
        predict_options=common["predict_options"],
        located=common["located"],
        trust=common["trust"],
    )
    predictor = _Predictor(request, reporter)

    def work(shard: Mapping[str, Any]) -> str:
        path, done = Path(shard["file"]), 0
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("w", encoding="utf-8") as file:
            own = Range(shard["start"], shard["sizes"], shard["batches"])
            for window in predictor.windows(own):
                file.write(_window_line(window))
                done += len(window.rows)
                reporter.update("predicting", done, None)
        os.replace(part, path)
        return str(path)

    return work


class _Predictor:
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


def _check_divisible(request: Request) -> None:
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


def _count(request: Request, done: int, batches: int, reporter: Reporter) -> Range:
    """All windows after the first ``done`` records. Reads every record, and predicts none."""
    items = iter(reporter.track(request.items(lambda sentence: None), "counting"))
    for _ in itertools.islice(items, done):
        pass
    sizes, following = [], []
    for window, next_batches in request.windows(items, batches):
        sizes.append(len(window))
        following.append(next_batches)
    return Range(done, sizes, following)


def _cut(whole: Range, count: int) -> list[Range]:
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


def _after(own: Range, done: int) -> Range:
    """The rest of a range after its first ``done`` records, which are complete windows."""
    ends = list(itertools.accumulate(own.sizes, initial=0))
    at = ends.index(done)
    return Range(own.start + done, own.sizes[at:], own.batches[at:])


def _header_line(request: Request, part: PartNumber, records: int) -> str:
    header = {
        "version": FORMAT,
        "aitk": __version__,
        "stage": STAGE,
        "part": list(dataclasses.astuple(part)),
        "identity": request.identity(),
        "run": str(request.run),
        "domain": request.domain,
        "inputs": [*request.inputs],
        "format": Path(request.out).suffix.lower(),
        "options": as_dict(request.options),
        "predict_options": as_dict(request.chosen),
        "located": dict(request.located),
        "records": records,
    }
    return dump_line({"aitk_part": header}) + "\n"


def _window_line(window: Predicted) -> str:
    return dump_line({field.name: getattr(window, field.name) for field in _FIELDS}) + "\n"


_FIELDS = dataclasses.fields(Predicted)


def _windows_of(lines: Iterable[str], *, where: str) -> Iterator[Predicted]:
    for line in lines:
        value = load_line(line, where=where)
        if not isinstance(value, dict) or value.keys() != _WINDOW_KEYS:
            raise ArtifactError("is damaged", where=where, hint="Make this part again")
        value["last"] = value["last"] and tuple(value["last"])
        yield Predicted(**value)


def _is_part(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()
