"""File names that are not text, and file names in cells."""

import os

import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.run import load_run
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.io.names import check_text, find_file, path_in, printable


@pytest.mark.parametrize(
    ("on_disk", "in_the_cell"),
    [
        (b"a.png", "a.png"),
        (b"caf\xe9.png", r"caf\xe9.png"),  # as ``printable`` shows it
        (b"caf\xe9.png", "café.png"),
        (b"caf\xc3\xa9.png", "cafe\u0301.png"),
        ("cafe\u0301.png".encode(), "café.png"),
        (b"a b.png", "a%20b.png"),
        (b"in/a.png", r"in\a.png"),  # as Windows writes it
    ],
)
def test_a_file_is_found_by_each_spelling_of_its_name(tmp_path, on_disk, in_the_cell):
    path = os.path.join(os.fsencode(tmp_path), on_disk)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").close()
    assert os.fsencode(find_file(in_the_cell, tmp_path, outside=False)) == path


@pytest.mark.parametrize(
    "cell", ["x" * 300, "x/" * 5000, "a\0b", "~/a.png", "/etc/passwd", "../up", "nul\udce9", "."]
)
def test_what_names_no_file_of_the_folder_is_one_refusal(tmp_path, cell):
    (tmp_path / "loop").symlink_to("loop")
    for name in (cell, f"loop/{cell}"):
        with pytest.raises(DataError) as refused:
            find_file(name, tmp_path, outside=False)
        assert len(refused.value.line) < 300
        refused.value.line.encode()


def test_a_name_that_is_no_text_is_shown_escaped():
    assert printable(os.fsdecode(b"caf\xe9")) == r"caf\xe9"
    assert printable("café") == "café"


def test_a_folder_of_models_must_have_a_name_that_is_text(tmp_path):
    check_text(tmp_path / "café")
    with pytest.raises(UsageError, match="not UTF-8"):
        check_text(tmp_path / "caf\udce9" / "run")


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 3000, "caf\udce9"])
@pytest.mark.parametrize("load", [load_run, load_data])
def test_odd_names_of_runs_and_data_are_refused(load, name):
    with pytest.raises((ArtifactError, UsageError)):
        load(name)


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        (" a.wav ", "a.wav"),
        (None, ""),
        ({"path": "a.wav"}, "a.wav"),
        ({"bytes": None, "path": "a"}, "a"),
    ],
)
def test_the_path_in_a_cell_may_be_in_an_object(cell, path):
    assert path_in(cell) == path


@pytest.mark.parametrize("cell", [{"bytes": "RIFF", "path": "a.wav"}, ["a.wav"], b"RIFF"])
def test_a_cell_that_holds_the_file_itself_is_refused(cell):
    with pytest.raises(DataError, match="its cell (contains|does not)"):
        path_in(cell)
