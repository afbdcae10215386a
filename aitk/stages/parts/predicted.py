"""``predict`` in parts: ranges of windows, joined to the file that a single process would write."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.parts import Part, PartNumber
from aitk.core.artifacts.targets import is_stream
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.distributed.map_shards import map_shards
from aitk.core.io.json_files import check_shape
from aitk.core.io.resumable import ResumableFile
from aitk.stages.options import PredictOptions
from aitk.stages.parts.part_files import SHAPE, header_line, is_part, read_windows, window_line
from aitk.stages.parts.ranges import (
    Range,
    RangePredictor,
    check_divisible,
    count_windows,
    split_range,
    without_first,
)
from aitk.stages.predict import predict
from aitk.stages.request import STDIO, Predicted, Request, check_refused

#: Shards per worker: losing one costs little, and all workers end at about the same time.
SHARDS_PER_WORKER = 8
_WORK = "aitk.stages.parts.predicted:open_predicting"


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
    check_divisible(request)
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
        is_own=is_part,
    )
    try:
        own = split_range(count_windows(request, 0, 1, reporter), part.total)[part.number - 1]
        refused = sink.notes.get("refused", 0)
        if not sink.done:
            sink.append(header_line(request, part, own.records), items=0, notes={})
        rest = without_first(own, sink.done)
        worker = RangePredictor(request, reporter)
        for window in worker.windows(rest):
            refused += window.refused
            sink.append(window_line(window), items=len(window.rows), notes={"refused": refused})
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
        check_divisible(request)
        ranges = split_range(
            count_windows(request, done, batches, reporter), workers * SHARDS_PER_WORKER
        )
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
                    yield from read_windows(file, where=place)
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
                for window in read_windows(file, where=str(part.path)):
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
    predictor = RangePredictor(request, reporter)

    def work(shard: Mapping[str, Any]) -> str:
        path, done = Path(shard["file"]), 0
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("w", encoding="utf-8") as file:
            own = Range(shard["start"], shard["sizes"], shard["batches"])
            for window in predictor.windows(own):
                file.write(window_line(window))
                done += len(window.rows)
                reporter.update("predicting", done, None)
        os.replace(part, path)
        return str(path)

    return work
