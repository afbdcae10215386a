"""Folders that are whole or absent: one writer at a time, and no kill that cannot be put right."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.drafts import STATE, delete, draft_folder, own_folder, recover, writer_of
from aitk.core.artifacts.marker import DRAFT, MARKER, PLACED, RETIRED, WHOLE, mark, read_marker
from aitk.core.contract.errors import ArtifactError, UsageError

WRITER = """
import sys, time
from pathlib import Path
from aitk.core.artifacts.drafts import draft_folder
with draft_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "half").touch()
    print("writing", flush=True)
    time.sleep(60)
"""


def write(out: Path, name: str = "file", **more: bool) -> None:
    with draft_folder(out, **more) as folder:
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def writer(out: Path):
    """Another process that is writing ``out``."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_with_the_number_of_the_first(out: Path, writer) -> None:
    assert writer_of(out) == writer.pid
    started = time.monotonic()
    with pytest.raises(UsageError, match=f"process {writer.pid} is writing it"):
        write(out, overwrite=True)
    assert time.monotonic() - started < 2
    assert names(out.parent) == ["out.part"]
    assert names(out.parent / "out.part") == [MARKER, "half"]


def test_a_kill_frees_the_target_and_its_draft_is_written_anew(out: Path, writer) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert writer_of(out) is None
    write(out)
    assert names(out) == [MARKER, "file"]
    assert names(out.parent) == ["out"]


def test_the_same_process_may_not_write_a_target_twice_at_once(out: Path) -> None:
    with pytest.raises(UsageError, match=f"process {os.getpid()}"), draft_folder(out):
        write(out)
    assert names(out.parent) == []


@pytest.mark.parametrize("step", ["retired", "moved", "replaced", "half deleted"])
def test_a_kill_within_the_replacement_is_completed(out: Path, step: str) -> None:
    part, old = out.parent / "out.part", out.parent / "out.old"
    write(out, "former")
    part.mkdir()
    (part / "latter").touch()
    mark(part, WHOLE)
    mark(out, RETIRED)
    if step != "retired":
        os.replace(out, old)
    if step in ("replaced", "half deleted"):
        os.replace(part, out)
    if step == "half deleted":
        (old / "former").unlink()
    recover(out)
    if step == "retired":  # the user's wish to replace it is gone: the former is whole
        assert names(out) == [MARKER, "former"]
    else:
        assert names(out) == [MARKER, "latter"]
        assert not part.exists()
        assert not old.exists()
    write(out, "next", overwrite=True)
    assert names(out) == [MARKER, "next"]
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_the_user_made_meanwhile_is_kept_and_so_is_the_result(
    out: Path, overwrite: bool
) -> None:
    with (
        pytest.raises(UsageError, match=r"in the meantime.*out\.part to out"),
        draft_folder(out, overwrite=overwrite) as folder,
    ):
        (folder / "result").touch()
        out.mkdir()
        (out / "precious").touch()
    assert names(out) == ["precious"]
    assert names(out.parent / "out.part") == [MARKER, "result"]


def killed_before(step: int, out: Path) -> bool:
    """Replace ``out`` in a process that is killed before one of its changes of the disk."""
    child = os.fork()
    if child == 0:
        changes = itertools.count()

        def deadly(change: Callable[..., Any]) -> Callable[..., Any]:
            def changed(*arguments: Any, **more: Any) -> Any:
                if next(changes) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*arguments, **more)

            return changed

        for name in ("mkdir", "replace", "pwrite", "unlink", "rmdir"):
            setattr(os, name, deadly(getattr(os, name)))
        try:
            write(out, "latter", overwrite=True)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_whenever_it_is_killed_one_of_the_two_is_whole(out: Path) -> None:
    for step in itertools.count():
        write(out, "former", overwrite=True)
        killed = killed_before(step, out)
        recover(out)
        assert names(out) in ([MARKER, "former"], [MARKER, "latter"])
        write(out, "next", overwrite=True)
        assert names(out) == [MARKER, "next"]
        assert names(out.parent) == ["out"]
        if not killed:
            break
    assert step > 8


def test_without_the_new_folder_the_former_gets_its_name_back(out: Path) -> None:
    write(out, "former")
    mark(out, RETIRED)
    os.replace(out, out.parent / "out.old")
    recover(out)
    assert names(out) == [MARKER, "former"]
    assert names(out.parent) == ["out"]


def test_reading_completes_a_replacement_too(out: Path) -> None:
    part = out.parent / "out.part"
    part.mkdir()
    (part / "dataset.json").write_text("{}")
    mark(part, WHOLE)
    with pytest.raises(ArtifactError, match="fingerprint"):
        load_data(out)
    assert names(out.parent) == ["out"]


def test_a_whole_draft_that_a_kill_kept_from_its_name_leaves_no_state(out: Path) -> None:
    part = out.with_name("out.part")
    (part / STATE).mkdir(parents=True)
    mark(part, WHOLE)
    recover(out)
    assert names(out) == [MARKER]


def test_a_failing_rename_leaves_the_former_folder(out: Path, monkeypatch) -> None:
    write(out, "former")
    replace = os.replace

    def fails(source: Path, target: Path) -> None:
        if source.name == "out.part":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="Input"):
        write(out, "latter", overwrite=True)
    assert names(out) == [MARKER, "former"]
    assert names(out.parent) == ["out"]


def test_a_draft_that_is_kept_is_resumed_only_on_request(out: Path) -> None:
    def keep(part: Path) -> bool:
        return (part / "state").exists()

    nothing = pytest.raises(ArtifactError, match="nothing to resume")
    with nothing, draft_folder(out, resume=True, keep=keep):
        pass
    assert names(out.parent) == []
    with pytest.raises(KeyboardInterrupt), draft_folder(out, keep=keep) as folder:
        (folder / "state").touch()
        raise KeyboardInterrupt
    with pytest.raises(UsageError, match="--resume"), draft_folder(out, keep=keep):
        pass
    with draft_folder(out, resume=True, keep=keep) as folder:
        assert (folder / "state").exists()
    assert names(out) == [MARKER, "state"]


def test_folders_above_go_with_a_draft_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ValueError), draft_folder(tmp_path / "a" / "b" / "out"):
        raise ValueError
    assert names(tmp_path) == []


def test_a_read_only_folder_is_reported_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written to"):
        write(tmp_path / "file" / "out")
    with pytest.raises(UsageError, match="/proc: cannot be written to"):
        write(Path("/proc/out"))


def test_a_project_carries_no_marker(out: Path) -> None:
    write(out, marked=False)
    assert names(out) == ["file"]
    with pytest.raises(UsageError, match="not written by aitk"):
        write(out, overwrite=True)


def test_a_folder_written_in_place_keeps_what_it_holds(out: Path) -> None:
    with own_folder(out):
        (out / "file").touch()
        assert writer_of(out) == os.getpid()
    with own_folder(out):
        assert read_marker(out).state == DRAFT
    assert names(out) == [MARKER, "file"]
    assert read_marker(out).state == PLACED
    (out / MARKER).unlink()
    with pytest.raises(UsageError, match="in the way"), own_folder(out):
        pass


def test_links_inside_a_folder_are_deleted_not_followed(out: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    write(out)
    (out / "link").symlink_to(tmp_path / "mine")
    delete(out)
    assert names(tmp_path) == ["mine"]
    assert names(tmp_path / "mine") == ["precious"]
