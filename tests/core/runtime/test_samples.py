"""The sample rows: where they are, and that their script still makes them."""

from __future__ import annotations

import csv
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from aitk.core.runtime.samples import copy_samples, sample_folder
from aitk.registry import TASKS

FOLDER = sample_folder()


@pytest.mark.parametrize("row", TASKS.values(), ids=TASKS)
def test_every_task_has_its_rows(row) -> None:
    assert (FOLDER / Path(row.sample).name).is_file()


def test_copies_a_task_s_files_and_no_others(tmp_path) -> None:
    copied = copy_samples("messages.csv", tmp_path / "rows")
    assert {path.name for path in copied} == {
        "messages.csv",
        "messages_new.csv",
        "messages_update.csv",
    }


def test_the_script_makes_the_same_bytes_again(tmp_path, monkeypatch) -> None:
    for name in ("make.py", "phrases.py", "handbook.py"):
        shutil.copy(FOLDER / name, tmp_path / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    runpy.run_path(str(tmp_path / "make.py"), run_name="__main__")
    for module in ("phrases", "handbook"):
        sys.modules.pop(module, None)
    made = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".py")
    assert len(made) == 7
    for name in made:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_the_script_of_reviews_makes_the_same_bytes_again(tmp_path) -> None:
    shutil.copy(FOLDER / "make_ratings.py", tmp_path)
    runpy.run_path(str(tmp_path / "make_ratings.py"), run_name="__main__")
    for name in ("ratings.csv", "ratings_new.csv", "ratings_update.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_no_message_is_written_twice() -> None:
    texts = []
    for name in ("messages.csv", "messages_new.csv", "messages_update.csv"):
        with (FOLDER / name).open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    assert len(texts) == len(set(texts))


def test_intents_are_balanced_and_in_both_languages() -> None:
    with (FOLDER / "messages.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    intents = {row["intent"] for row in rows}
    for intent in intents:
        own = [row["language"] for row in rows if row["intent"] == intent]
        assert len(own) >= 60
        assert set(own) == {"en", "zh"}
