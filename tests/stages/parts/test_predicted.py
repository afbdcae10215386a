"""``predict`` in parts: put together, the bytes that one process writes."""

import json

import pytest

from aitk.core.artifacts.parts import parse_part
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.stages.options import PredictOptions
from aitk.stages.parts.join import join
from aitk.stages.parts.predicted import predict_part, predict_with_workers
from aitk.stages.predict import predict


@pytest.fixture
def rows(tmp_path):
    """200 rows, the first of which, and every 25th, cannot be read."""
    lines = ["text,number"]
    for number in range(200):
        lines.append(f"{'good ' * (number % 7)}day,{number}" if number % 25 else f",{number}")
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def arguments(out, **options):
    options = {"batch_size": 4} | options
    return {"out": str(out), "domain": "nlp", "options": resolve(PredictOptions, options)}


def whole(run, rows, out, **options):
    predict(run, [rows], **arguments(out, **options), write=print, reporter=Silent())
    return out.read_bytes()


def part(run, rows, out, text, **options):
    told = arguments(out, **options)
    return predict_part(run, [rows], parse_part(text), **told, reporter=Silent())


def joined(paths, out, write=print):
    return join(list(paths), str(out), write=write, reporter=Silent())


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize("total", [1, 3, 40])
def test_the_parts_are_the_whole(onnx_run, rows, tmp_path, name, total):
    (tmp_path / "whole").mkdir()
    due = whole(onnx_run, rows, tmp_path / "whole" / name)
    for number in range(1, total + 1):  # of 40 parts some are empty
        part(onnx_run, rows, tmp_path / name, f"{number}/{total}")
    outcome = joined(tmp_path.glob(f"{name}.*"), tmp_path / name)
    assert (tmp_path / name).read_bytes() == due
    assert (outcome.facts["rows"], outcome.refused) == (200, 8)


def test_workers_write_what_one_process_writes(onnx_run, rows, tmp_path):
    due = whole(onnx_run, rows, tmp_path / "whole.csv")
    predict_with_workers(
        onnx_run,
        [rows],
        workers=2,
        engine=None,
        **arguments(tmp_path / "shared.csv"),
        write=print,
        reporter=Silent(),
    )
    assert (tmp_path / "shared.csv").read_bytes() == due
    assert not list(tmp_path.glob(".aitk-shards-*"))


def test_parts_join_on_stdout(onnx_run, rows, tmp_path):
    due = whole(onnx_run, rows, tmp_path / "whole.jsonl")
    for number in (1, 2):
        part(onnx_run, rows, tmp_path / "a.jsonl", f"{number}/2")
    written = []
    joined(tmp_path.glob("a.jsonl.*"), "-", write=written.append)
    assert "".join(written).encode() == due


def test_an_interrupted_part_continues(onnx_run, rows, tmp_path, monkeypatch):
    for number in (1, 2):
        part(onnx_run, rows, tmp_path / "whole.csv", f"{number}/2")
    due = (tmp_path / "whole.csv.2-of-2").read_text()

    class Stops(Silent):
        def update(self, what, done, total, detail=""):
            if what == "predicting" and done > 30:
                raise KeyboardInterrupt

    told = arguments(tmp_path / "a.csv")
    with pytest.raises(KeyboardInterrupt):
        predict_part(onnx_run, [rows], parse_part("2/2"), **told, reporter=Stops())
    assert (tmp_path / "a.csv.2-of-2.part").exists()
    outcome = part(onnx_run, rows, tmp_path / "a.csv", "2/2", resume=True)
    found = (tmp_path / "a.csv.2-of-2").read_text()
    assert found.split("\n")[1:] == due.split("\n")[1:]
    assert outcome.facts["rows"] == json.loads(found.split("\n")[0])["aitk_part"]["records"]


def test_other_options_and_other_files_are_refused(onnx_run, rows, tmp_path):
    part(onnx_run, rows, tmp_path / "a.csv", "1/2")
    part(onnx_run, rows, tmp_path / "a.csv", "2/2", top_k=2)
    with pytest.raises(ArtifactError, match="other inputs or options"):
        joined(tmp_path.glob("a.csv.*"), tmp_path / "a.csv")
    part(onnx_run, rows, tmp_path / "b.csv", "1/1")
    with pytest.raises(UsageError, match="the extension .csv"):
        joined(tmp_path.glob("b.csv.*"), tmp_path / "b.jsonl")


def test_a_part_that_was_cut_short_is_damaged(onnx_run, rows, tmp_path):
    part(onnx_run, rows, tmp_path / "a.csv", "1/1")
    path = tmp_path / "a.csv.1-of-1"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(ArtifactError, match="rows instead of 200"):
        joined([path], tmp_path / "a.csv")
    path.write_text("".join(lines[:-1]) + lines[-1][:20])
    with pytest.raises(ArtifactError, match="damaged"):
        joined([path], tmp_path / "b.csv")


def test_streams_and_drawings_are_for_one_process(onnx_run, rows, tmp_path):
    with pytest.raises(UsageError, match="stream"):
        part(onnx_run, "-", tmp_path / "a.csv", "1/2")
    with pytest.raises(UsageError, match="a single process"):
        part(onnx_run, rows, tmp_path / "a.csv", "1/2", draw=str(tmp_path / "drawn"))
    with pytest.raises(UsageError, match="a separate file"):
        part(onnx_run, rows, "-", "1/2")
