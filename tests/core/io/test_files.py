"""Files and folders: whole or absent."""

import os

import pytest

from aitk.core.artifacts.drafts import draft_folder
from aitk.core.contract.errors import UsageError
from aitk.core.io.files import atomic_text, check_writable, fingerprint, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError), atomic_text(path) as file:
        file.write("new")
        raise ValueError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failed_draft_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), draft_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("half")
        raise ValueError
    assert os.listdir(tmp_path) == []


def test_a_draft_replaces_only_on_request(tmp_path):
    out = tmp_path / "out"
    for content in ("first", "second"):
        with draft_folder(out, overwrite=True) as folder:
            (folder / content).touch()
    assert sorted(os.listdir(out)) == [".aitk", "second"]
    with pytest.raises(UsageError, match="exists already"), draft_folder(out):
        pass


def test_a_file_in_place_of_a_folder_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        check_writable(tmp_path / "file" / "below")


def test_fingerprints_do_not_depend_on_key_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_json_is_written_for_people(tmp_path):
    write_json(tmp_path / "a.json", {"name": "文本"})
    assert "文本" in (tmp_path / "a.json").read_text(encoding="utf-8")
