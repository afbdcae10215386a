"""``prepare --workers``: the folder holds what one process writes, byte by byte."""

import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.contract.errors import DataError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.core.contract.rows import Row
from aitk.core.distributed.local import LocalWorker
from aitk.nlp.data.options import TagReading, TextReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.tag_quality import TagInspector
from aitk.registry import TASKS, load
from aitk.stages.options import PrepareOptions
from aitk.stages.parts import workers as module
from aitk.stages.parts.workers import prepare_with_workers
from aitk.stages.prepare import prepare
from aitk.stages.stored_rows import Block

SAMPLES = Path(__file__).parents[3] / "sample_data"
ROWS, REFUSED = 1200, 134


@pytest.fixture
def asked(tmp_path):
    """The arguments of ``prepare`` for texts of two languages and files with duplicates,
    conflicting labels, personal data, a label known to the second file alone and empty texts."""
    for name, labels in (("some", "abc"), ("more", "bcd")):
        lines = ["text,label"]
        for number in range(ROWS // 2):
            words = "the text is here" if number % 5 else "der Text ist nicht ganz"
            label = labels[number % 31 % 3]
            text = f"{words} {number % 470} {number}@example.org" if number % 9 else ""
            lines.append(f"{text},{label}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return arguments(
        "nlp.classify", [tmp_path / "some.csv", tmp_path / "more.csv"], redact=["email"]
    )


def arguments(task, sources, **told):
    reading = resolve(load(TASKS[task].reading), told)
    return {
        "sources": [*map(str, sources)],
        "task": task,
        "options": PrepareOptions(),
        "reading": reading,
        "reporter": Silent(),
    }


def prepare_alone(asked, out):
    told = dict(asked)
    return prepare(told.pop("sources"), out, **told)


def prepare_shared(asked, out, *, workers):
    told = dict(asked)
    return prepare_with_workers(told.pop("sources"), out, workers=workers, engine=None, **told)


def contents(folder):
    """Path -> bytes of all files, without the time that it took."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    files["dataset.json"] = re.sub(rb'"wall_s": [\d.]+', b"", files["dataset.json"])
    del files["report.html"]  # it repeats dataset.json
    return files


def check_same(first, second):
    one, other = contents(first), contents(second)
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_more_parts_than_open_files_are_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_FILES", 2)
    places = np.zeros(9, module._PLACE)
    for at in range(9):
        path = tmp_path / f"rows-{at % 4}"
        block = Block()
        block.add(Row({"text": str(at)}, "file", at))
        content = block.dump()
        places[at] = (at % 4, path.stat().st_size if path.exists() else 0, len(content), 1)
        with path.open("ab") as file:
            file.write(content)
    np.save(tmp_path / "places.npy", places)
    assert [row[0]["text"] for row in module._kept_rows(tmp_path, (1, 8))] == [*"1234567"]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_writes_the_same_bytes(asked, tmp_path, workers):
    prepare_alone(asked, tmp_path / "whole")
    outcome = prepare_shared(asked, tmp_path / "shared", workers=workers)
    check_same(tmp_path / "whole", tmp_path / "shared")
    assert outcome.refused == REFUSED
    assert load_data(tmp_path / "shared").summary["languages"].keys() >= {"en", "de"}


@pytest.mark.parametrize(
    "task",
    ["nlp.translate", "nlp.embed", "nlp.generate", "nlp.score", "speech.asr", "vision.detect"],
)
def test_the_sample_of_a_task_is_prepared_alike(task, tmp_path):
    row = TASKS[task]
    asked = arguments(task, [SAMPLES / Path(row.sample).name], **row.options)
    prepare_alone(asked, tmp_path / "whole")
    prepare_shared(asked, tmp_path / "shared", workers=2)
    check_same(tmp_path / "whole", tmp_path / "shared")


@pytest.mark.parametrize("step", ["read", "inspect", "encode"])
def test_the_step_of_a_killed_worker_is_done_again(asked, tmp_path, monkeypatch, step):
    prepare_alone(asked, tmp_path / "whole")
    killed = []
    send = LocalWorker.send

    def send_and_kill(worker, shard):
        send(worker, shard)
        if shard["step"] == step and not killed:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    monkeypatch.setattr(LocalWorker, "send", send_and_kill)
    prepare_shared(asked, tmp_path / "shared", workers=2)
    check_same(tmp_path / "whole", tmp_path / "shared")
    assert killed


def test_too_many_refused_rows_end_with_the_same_words(asked, tmp_path):
    asked["options"] = PrepareOptions(max_errors=70)  # the 71st is in the second file
    raised = []
    for prepared in (prepare_alone, lambda *given: prepare_shared(*given, workers=3)):
        with pytest.raises(DataError) as caught:
            prepared(asked, tmp_path / "out")
        raised.append((str(caught.value), caught.value.where))
        assert not (tmp_path / "out").exists()
    assert raised[0] == raised[1]
    assert raised[0][1].endswith("more.csv:29")


def test_fewer_rows_than_workers_are_prepared(asked, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("text,label\na text,x\n,y\nanother one,y\n")
    asked |= {"sources": [str(path)], "options": PrepareOptions(split="100/0/0")}
    prepare_alone(asked, tmp_path / "whole")
    prepare_shared(asked, tmp_path / "shared", workers=3)
    check_same(tmp_path / "whole", tmp_path / "shared")
    assert json.loads((tmp_path / "shared/dataset.json").read_text())["refused"] == 1


def test_an_inspector_that_counts_more_than_it_merges_is_not_divided():
    class Counts(TextInspector):
        def add(self, row, split):
            super().add(row, split)

    class Merges(Counts):
        def merge(self, state):
            super().merge(state)

    reading = TextReading()
    found = [module._merges(each(reading)) for each in (TextInspector, Counts, Merges)]
    assert found == [True, False, True]
    assert not module._merges(TagInspector(TagReading()))


def test_ranges_hold_every_place_once():
    rows = np.random.default_rng(0).integers(0, 17, 100)
    for count in (1, 3, 8, 300):
        ranges = module._ranges(rows, count)
        assert [place for start, end in ranges for place in range(start, end)] == [*range(100)]
        assert len(ranges) <= count
        largest = max(rows[start:end].sum() for start, end in ranges)
        assert largest <= rows.sum() / count + 17
