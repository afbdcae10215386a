"""``prepare`` in parts: what they hold together is what one process writes."""

import json
from pathlib import Path

import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.parts import PartNumber, parse_part
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Silent
from aitk.registry import TASKS, load
from aitk.stages.options import PrepareOptions
from aitk.stages.parts.join import join
from aitk.stages.parts.prepared import prepare_part
from aitk.stages.prepare import prepare

SAMPLES = Path(__file__).parents[3] / "sample_data"


def texts(path, rows=100):
    """Texts with duplicates, conflicting labels, a split column's worth of classes, bad rows."""
    lines = ["text,label"]
    for number in range(rows):
        label = "abc"[number % 3]
        lines.append(f"text {number % 70} is here,{label}" if number % 9 else f",{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def asked(tmp_path):
    """The arguments of ``prepare`` for some rows in a CSV file."""
    return {
        "sources": [str(texts(tmp_path / "rows.csv"))],
        "task": "nlp.classify",
        "options": PrepareOptions(),
        "reading": load(TASKS["nlp.classify"].reading)(),
        "reporter": Silent(),
    }


def part(asked, out, text, **changed):
    told = asked | changed
    return prepare_part(told.pop("sources"), out, parse_part(text), **told)


def joined(paths, out, **more):
    return join(paths, str(out), write=print, reporter=Silent(), **more)


def check_same(first, second):
    """Everything in the two folders is the same but for the time that it took."""
    manifests = [json.loads((folder / "dataset.json").read_text()) for folder in (first, second)]
    for manifest in manifests:
        del manifest["wall_s"]
    assert manifests[0] == manifests[1]
    assert (first / "rejects.jsonl").read_bytes() == (second / "rejects.jsonl").read_bytes()
    one, other = load_data(first), load_data(second)
    for split in one.splits:
        assert repr(one.rows(split)[:]) == repr(other.rows(split)[:])


@pytest.mark.parametrize("total", [1, 3, 20])
def test_the_parts_are_the_whole(asked, tmp_path, total):
    prepare(asked["sources"], tmp_path / "whole", **rest(asked))
    for number in range(1, total + 1):
        part(asked, tmp_path / "parts", f"{number}/{total}")
    paths = sorted(tmp_path.glob("parts.*"), reverse=True)  # in any order
    outcome = joined(paths, tmp_path / "parts")
    assert outcome.refused == 12
    check_same(tmp_path / "whole", tmp_path / "parts")


def test_a_part_of_images_brings_what_reading_counted(tmp_path):
    """The findings on annotation files and left out images are those of one process."""
    name = "vision.detect"
    row = TASKS[name]
    asked = {
        "sources": [str(SAMPLES / Path(row.sample).name)],
        "task": name,
        "options": PrepareOptions(),
        "reading": resolve(load(row.reading), row.options),
        "reporter": Silent(),
    }
    prepare(asked["sources"], tmp_path / "whole", **rest(asked))
    for number in (1, 2):
        part(asked, tmp_path / "parts", f"{number}/2")
    joined(sorted(tmp_path.glob("parts.*")), tmp_path / "parts")
    check_same(tmp_path / "whole", tmp_path / "parts")


def test_personal_data_is_replaced_in_parts_and_counted_in_all(asked, tmp_path):
    lines = [f"write to a{number}@example.org,{number % 2}" for number in range(40)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    asked["reading"] = resolve(load(TASKS["nlp.classify"].reading), {"redact": ["email"]})
    prepare(asked["sources"], tmp_path / "whole", **rest(asked))
    for number in (1, 2):
        part(asked, tmp_path / "parts", f"{number}/2")
        assert "example.org" not in (tmp_path / f"parts.{number}-of-2/rows.jsonl").read_text()
    joined(sorted(tmp_path.glob("parts.*")), tmp_path / "parts")
    check_same(tmp_path / "whole", tmp_path / "parts")
    assert load_data(tmp_path / "parts").summary["redacted"]["rows"] == 40


def test_a_missing_part_is_named(asked, tmp_path):
    paths = []
    for number in (1, 3):
        part(asked, tmp_path / "d", f"{number}/3")
        paths.append(tmp_path / f"d.{number}-of-3")
    with pytest.raises(ArtifactError, match="missing of 3 parts: 2"):
        joined(paths, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_doubled_part_is_refused(asked, tmp_path):
    part(asked, tmp_path / "d", "1/1")
    with pytest.raises(UsageError, match="is part 1/1, and so is"):
        joined([tmp_path / "d.1-of-1"] * 2, tmp_path / "d")


@pytest.mark.parametrize("changed", [{"options": PrepareOptions(seed=7)}, {"rows": 99}])
def test_a_part_of_something_else_is_refused(asked, tmp_path, changed):
    part(asked, tmp_path / "d", "1/2")
    if "rows" in changed:
        texts(tmp_path / "rows.csv", rows=changed["rows"])
        changed = {}
    part(asked, tmp_path / "d", "2/2", **changed)
    with pytest.raises(ArtifactError, match="other inputs or options"):
        joined(sorted(tmp_path.glob("d.*")), tmp_path / "d")


def test_parts_of_other_numbers_and_things_that_are_no_parts_are_refused(asked, tmp_path):
    part(asked, tmp_path / "d", "1/2")
    part(asked, tmp_path / "d", "2/3")
    with pytest.raises(ArtifactError, match="totals differ"):
        joined(sorted(tmp_path.glob("d.*")), tmp_path / "d")
    with pytest.raises(ArtifactError, match="is not a part"):
        joined([tmp_path / "rows.csv"], tmp_path / "d")
    with pytest.raises(ArtifactError, match="no such part"):
        joined([tmp_path / "nothing"], tmp_path / "d")


def test_refused_rows_of_all_parts_count_together(asked, tmp_path):
    asked["options"] = PrepareOptions(max_errors=8)  # of 12
    for number in (1, 2):
        part(asked, tmp_path / "d", f"{number}/2")
    with pytest.raises(DataError, match="9 rows refused"):
        joined(sorted(tmp_path.glob("d.*")), tmp_path / "d")


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", ""])
def test_invalid_part_numbers_are_refused(text):
    with pytest.raises(UsageError):
        parse_part(text)


def test_rows_of_a_whole_log_and_stdin_cannot_be_divided(asked, tmp_path):
    with pytest.raises(UsageError, match="stdin"):
        part(asked, tmp_path / "d", "1/2", sources=["-"])
    log = asked | {"reading": load(TASKS["recsys.recommend"].reading)()}
    with pytest.raises(UsageError, match="whole log"):
        part(log, tmp_path / "d", "1/2", task="recsys.recommend")


def test_blocks_of_records_go_round():
    numbers = [PartNumber(number, 3) for number in (1, 2, 3)]
    held = [sum(number.holds(index) for number in numbers) for index in range(500)]
    assert held == [1] * 500
    assert numbers[0].holds(0) and numbers[1].holds(16) and numbers[0].holds(48)


def rest(asked):
    return {name: value for name, value in asked.items() if name != "sources"}
