"""User errors: one line with problem and place, an exit code, and no partial output."""

import errno
import os

import pytest

GOOD = "text,label\n" + "".join(f"message number {n},{'ab'[n % 2]}\n" for n in range(60))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of files with everything wrong about them, as the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "one_class.csv").write_text(GOOD.replace(",b\n", ",a\n"))
    (tmp_path / "garbage.csv").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "nul.csv").write_text(GOOD + "a\0b,a\n")
    (tmp_path / "mixed.csv").write_bytes(GOOD.encode() + "naïve,a\n".encode() + b"caf\xe9,a\n")
    (tmp_path / "long.csv").write_text(GOOD + "x" * 50_000_000 + ",a\nthe next,b\n")
    return tmp_path


def prepare(aitk, *arguments):
    return aitk("nlp", "prepare", *arguments, "--task", "classify")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.csv", "--out", "d"], 3, "missing.csv: no such file"),
        (["folder", "--out", "d"], 3, "folder: contains no files to read"),
        (["empty.csv", "--out", "d"], 3, "empty.csv: is empty"),
        (["good.csv", "--text-column", "txt", "--out", "d"], 2, "Did you mean 'text'"),
        (["one_class.csv", "--out", "d"], 3, "nothing to tell apart"),
        (["garbage.csv", "--out", "d"], 3, "garbage.csv: is not text"),
        (["good.csv", "--out", "folder"], 2, "folder: exists already"),
        (["good.csv", "--out", "/proc/none/d"], 2, "cannot be written"),
    ],
)
def test_prepare_refuses_in_one_line(aitk, here, arguments, code, words):
    before = set(os.listdir(here))
    result = prepare(aitk, *arguments)
    assert result.code == code
    assert words in result.lines[-1]
    assert "Traceback" not in result.err
    assert set(os.listdir(here)) == before


@pytest.mark.parametrize(
    ("file", "reason"),
    [("nul.csv", "NUL"), ("mixed.csv", "utf-8"), ("long.csv", "longer than")],
)
def test_a_bad_row_is_refused_and_the_rest_is_kept(aitk, here, file, reason):
    result = prepare(aitk, file, "--out", "d")
    assert result.code == 6
    (refused,) = (here / "d" / "rejects.jsonl").read_text().splitlines()
    assert reason.lower() in refused.lower()
    assert '"line": 6' in refused


def test_a_full_disk_is_named_and_nothing_is_left(aitk, here, monkeypatch):
    from aitk.core.artifacts import data

    def full(self, split, rows):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(data.DataWriter, "write", full)
    result = prepare(aitk, "good.csv", "--out", "d")
    assert result.code not in (0, 1)
    assert "disk is full" in result.lines[-1]
    assert not (here / "d").exists()
    assert not (here / "d.part").exists()


@pytest.fixture
def trained(aitk, here):
    """A run on good.csv, in the folder ``run``."""
    assert prepare(aitk, "good.csv", "--out", "data").code == 0
    result = aitk(
        *("nlp", "finetune", "data", "--out", "run", "--epochs", "1"),
        *("--set", "vocabulary_size=500", "--set", "hidden=4"),
    )
    assert result.code == 0, result.err
    return here / "run"


def test_problems_of_a_run_are_reported(aitk, here, trained):
    def last_line(*arguments, code):
        result = aitk("nlp", *arguments)
        assert result.code == code, result.err
        assert "Traceback" not in result.err
        return result.lines[-1]

    model = here / "run" / "model.keras"
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    line = last_line("predict", "run", "good.csv", "--out", "p.jsonl", code=4)
    assert "model.keras: cannot be read" in line
    assert not (here / "p.jsonl").exists()
    model.write_bytes(whole)

    line = last_line("finetune", "data", "--out", "x", "--set", "hiden=3", code=2)
    assert "Did you mean 'hidden'" in line
    assert "prepared data, not a run" in last_line("evaluate", "data", code=4)
    assert "no such run" in last_line("evaluate", "gone", code=4)

    # A label that training never saw is wrong wherever it comes, and said.
    (here / "unseen.csv").write_text(GOOD + "something else,strange\n")
    result = aitk("nlp", "evaluate", "run", "--data", "unseen.csv")
    assert result.code == 0
    assert "1 rows have a label unseen in training" in result.err
    result = aitk("nlp", "update", "run", "unseen.csv", "--out", "y", "--force", "--epochs", "1")
    assert result.code == 6
    assert "'strange' was not seen in training" in result.err

    # A run of another task: the manifest decides, whatever the folder is called.
    manifest = here / "run" / "run.json"
    manifest.write_text(manifest.read_text().replace('"nlp.classify"', '"vision.classify"'))
    assert "vision.classify" in last_line("predict", "run", "good.csv", "--out", "p", code=4)
