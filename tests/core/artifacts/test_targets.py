"""Values of ``--out``: every target that must not or cannot be written is refused first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aitk.core.artifacts.marker import PLACED, RETIRED, WHOLE, mark
from aitk.core.artifacts.targets import check_file, check_folder, is_stdout, is_stream
from aitk.core.contract.errors import UsageError

MANIFEST = {"version": 1, "aitk": "0.1.0", "task": "nlp.classify"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the user's own files."""
    monkeypatch.chdir(tmp_path)
    Path("photos/2024").mkdir(parents=True)
    Path("photos/2024/a.jpg").write_text("precious")
    Path("notes.txt").write_text("mine")
    Path("dangling").symlink_to("nowhere")
    Path("linked").symlink_to("photos")
    return tmp_path


def written_by_aitk(name: str, file: str = "run.json") -> Path:
    folder = Path(name)
    folder.mkdir()
    (folder / file).write_text(json.dumps(MANIFEST))
    return folder


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("", "current folder"),
        (".", "current folder"),
        ("..", "current folder"),
        ("/", "current folder"),
        ("photos/..", "current folder"),
        ("photos/none/..", "not a name of its own"),
        ("dangling", "symbolic link"),
        ("linked", "symbolic link"),
        ("x" * 250, "too long"),
        ("语" * 84, "too long"),
        ("x" * 300 + "/out", "too long"),
        ("x/" * 2000 + "out", "too long"),
        ("a\0b", "NUL"),
        ("out.part", "ends in .part"),
        ("out.old", "ends in .old"),
        ("-", "is stdout"),
        ("notes.txt", "is a file"),
        ("photos", "was not written by aitk"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(here: Path, out: str, words: str) -> None:
    before = sorted(here.rglob("*"))
    with pytest.raises(UsageError, match=words):
        check_folder(Path(out), overwrite=True)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (".", "current folder"),
        ("dangling", "symbolic link"),
        ("photos", "is a folder"),
        ("x" * 250, "too long"),
        ("notes.txt", "was not written by aitk"),
        ("/dev/null", "not a regular file"),
    ],
)
def test_a_file_that_cannot_be_is_refused(here: Path, out: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_file(Path(out), overwrite=True, is_own=lambda path: False)


@pytest.mark.parametrize(
    ("out", "source", "words"),
    [
        ("photos", "photos", "is the input"),
        ("photos", "linked", "is the input"),
        ("photos", "photos/2024/a.jpg", "contains photos/2024/a.jpg"),
        ("photos", "linked/2024", "contains linked/2024"),
        ("photos/out", "photos", "is inside the input photos"),
        ("photos/new/out", ".", "is inside the input ."),
        ("linked/out", "photos", "is inside"),
        ("notes.txt", "notes.txt", "is the input"),
    ],
)
def test_the_input_is_never_written_to(here: Path, out: str, source: str, words: str) -> None:
    for check in (check_folder, check_file):
        more = {} if check is check_folder else {"is_own": lambda path: True}
        with pytest.raises(UsageError, match=words):
            check(Path(out), inputs=["-", None, "tfds:mnist", source], overwrite=True, **more)


def test_an_input_under_the_name_of_the_draft_is_refused(here: Path) -> None:
    Path("out.part").mkdir()
    with pytest.raises(UsageError, match=r"out\.part: is the input"):
        check_folder(Path("out"), inputs=["out.part"])


def test_links_among_the_inputs_hide_neither_their_folder_nor_their_target(here: Path) -> None:
    Path("mixed").mkdir()
    Path("mixed/link").symlink_to(here / "photos" / "2024" / "a.jpg")
    Path("mixed/file").touch()
    for folder in ("mixed", "photos"):
        mark(Path(folder), PLACED)
        with pytest.raises(UsageError, match=f"{folder}: contains mixed/"):
            check_folder(Path(folder), inputs=["mixed/link", "mixed/file"], overwrite=True)


def test_names_of_inputs_that_cannot_be_are_passed_over(here: Path) -> None:
    check_folder(Path("out"), inputs=["x" * 300, "a\0b", "hf://some/model", "~nobody"])


def test_a_folder_is_not_replaced_under_a_file_that_is_yet_to_be_written(here: Path) -> None:
    mark(Path("photos"), PLACED)
    with pytest.raises(UsageError, match=r"photos: contains photos/new/out\.jsonl"):
        check_folder(Path("photos"), inputs=["photos/new/out.jsonl"], overwrite=True)


def test_a_hard_link_to_the_input_is_the_input(here: Path) -> None:
    os.link("notes.txt", "again.txt")
    with pytest.raises(UsageError, match="is the input"):
        check_file(Path("again.txt"), inputs=["notes.txt"], overwrite=True, is_own=lambda _: True)


def test_files_named_by_options_are_not_overwritten(here: Path) -> None:
    base = written_by_aitk("base")
    with pytest.raises(UsageError, match="is also read"):
        check_folder(base, options={"lm": "base"}, overwrite=True)
    with pytest.raises(UsageError, match=r"contains base/run\.json"):
        check_folder(base, options=["base/run.json"], overwrite=True)
    check_folder(base / "out", options={"split": "base"})


@pytest.mark.parametrize("name", ["run.json", "dataset.json"])
def test_runs_and_prepared_data_may_be_replaced_on_request(here: Path, name: str) -> None:
    folder = written_by_aitk("runs", name)
    with pytest.raises(UsageError, match="exists already"):
        check_folder(folder)
    check_folder(folder, overwrite=True)


@pytest.mark.parametrize("content", ["{}", "[1]", "no JSON", '{"version": 1}', "[" * 100_000])
def test_another_file_of_that_name_does_not_make_a_folder_aitks(here: Path, content: str) -> None:
    Path("photos/run.json").write_text(content)
    Path("photos/dataset.json").write_text(content)
    Path("photos/.aitk").write_text(content)
    with pytest.raises(UsageError, match="was not written by aitk"):
        check_folder(Path("photos"), overwrite=True)


def test_a_marked_or_an_empty_folder_may_be_replaced_on_request(here: Path) -> None:
    Path("empty").mkdir()
    check_folder(Path("empty"), overwrite=True)
    mark(Path("photos"), PLACED)
    check_folder(Path("photos"), overwrite=True)


def test_a_link_as_marker_counts_for_nothing(here: Path) -> None:
    mark(written_by_aitk("run"), PLACED)
    Path("photos/.aitk").symlink_to(here / "run" / ".aitk")
    with pytest.raises(UsageError, match="was not written by aitk"):
        check_folder(Path("photos"), overwrite=True)


def test_drafts_of_the_user_are_in_the_way(here: Path) -> None:
    Path("out.part").symlink_to("photos")
    with pytest.raises(UsageError, match=r"out\.part: is in the way"):
        check_folder(Path("out"))
    Path("out.part").unlink()
    Path("out.part").write_text("mine")
    with pytest.raises(UsageError, match=r"out\.part: is in the way"):
        check_folder(Path("out"))


def test_a_run_that_the_user_set_aside_is_no_draft(here: Path) -> None:
    written_by_aitk("run")
    backup = Path("run").rename("run.old")
    mark(backup, PLACED)
    written_by_aitk("run")
    with pytest.raises(UsageError, match=r"run\.old: is in the way"):
        check_folder(Path("run"), overwrite=True)
    mark(backup, RETIRED)
    check_folder(Path("run"), overwrite=True)
    backup.rename("new.part")
    mark(Path("new.part"), WHOLE)
    check_folder(Path("new"))


def test_devices_and_pipes_are_streams(here: Path) -> None:
    os.mkfifo("pipe")
    assert [
        name for name in ("pipe", "/dev/null", "notes.txt", "none") if is_stream(Path(name))
    ] == [
        "pipe",
        "/dev/null",
    ]
    assert is_stdout("-") and is_stdout("/dev/stdout") and not is_stdout("out")
