"""A file that an interrupted process can resume."""

import errno
import itertools
import os
import signal

import pytest

from aitk.core.artifacts.drafts import writer_of
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.io import resumable
from aitk.core.io.resumable import ResumableFile


def opened(path, *, identity="a", resume=False, overwrite=False):
    return ResumableFile(path, identity=identity, resume=resume, overwrite=overwrite)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


def test_it_has_its_name_only_when_whole(path):
    file = opened(path)
    file.append("é\n", items=1, notes={})
    assert not path.exists()
    file.finish()
    assert path.read_text(encoding="utf-8") == "é\n"
    assert [item.name for item in path.parent.iterdir()] == ["out.jsonl"]


def test_writing_continues_after_the_last_complete_piece(path):
    file = opened(path)
    file.append("one\ntwo\n", items=2, notes={"refused": 1})
    file.leave()
    with (path.parent / "out.jsonl.part").open("a") as part:
        part.write("thr")
    file = opened(path, resume=True)
    assert (file.done, file.notes) == (2, {"refused": 1})
    file.append("three\n", items=1, notes={})
    file.finish()
    assert path.read_text() == "one\ntwo\nthree\n"


def test_what_was_begun_is_not_lost_by_accident(path):
    file = opened(path)
    file.append("one\n", items=1, notes={})
    file.leave()
    with pytest.raises(UsageError, match="--resume"):
        opened(path)
    with pytest.raises(ArtifactError, match="another run"):
        opened(path, identity="b", resume=True)
    (path.parent / "out.jsonl.part").write_text("")
    with pytest.raises(ArtifactError, match="shorter"):
        opened(path, resume=True)
    assert opened(path, overwrite=True).done == 0


def test_nothing_is_left_of_nothing(path):
    opened(path).leave()
    assert not list(path.parent.iterdir())


def test_resuming_what_never_began_starts_it(path):
    assert opened(path, resume=True).done == 0


def test_a_file_that_exists_is_kept(path):
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        opened(path)


@pytest.mark.parametrize("name", ["out.jsonl.part", "out.jsonl.progress"])
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_files_of_the_user_are_not_drafts(path, name, kind):
    (path.parent / "mine").write_text("precious")
    there = path.parent / name
    {
        "file": lambda: there.write_text("precious"),
        "link": lambda: there.symlink_to("mine"),
        "folder": there.mkdir,
    }[kind]()
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match=f"{name}: is in the way"):
            opened(path, **how)
    assert (path.parent / "mine").read_text() == "precious"
    assert os.path.lexists(there)


def test_a_second_writer_is_refused(path):
    file = opened(path)
    assert writer_of(path) == os.getpid()
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match=f"process {os.getpid()} is writing it"):
            opened(path, **how)
    file.leave()
    assert writer_of(path) is None


def test_a_note_that_was_cut_short_does_not_count(path):
    file = opened(path)
    file.append("one\n", items=1, notes={})
    file.append("two\n", items=1, notes={})
    file.leave()
    progress = path.parent / "out.jsonl.progress"
    progress.write_bytes(progress.read_bytes()[:-5])
    file = opened(path, resume=True)
    assert file.done == 1
    file.append("zwei\n", items=1, notes={})
    file.finish()
    assert path.read_text() == "one\nzwei\n"


def test_progress_that_outlived_its_file_is_removed(path):
    file = opened(path)
    file.append("one\n", items=1, notes={})
    file.leave()
    (path.parent / "out.jsonl.part").rename(path)  # killed right after
    with pytest.raises(UsageError, match="exists already"):
        opened(path)
    assert [item.name for item in path.parent.iterdir()] == ["out.jsonl"]


def test_only_its_own_content_is_replaced(path):
    path.write_text("mine")
    with pytest.raises(UsageError, match="was not written by aitk"):
        opened(path, overwrite=True)
    file = ResumableFile(path, identity="a", resume=False, overwrite=True, is_own=lambda path: True)
    file.append("new", items=1, notes={})
    file.finish()
    assert path.read_text() == "new"


def test_folders_made_for_nothing_are_removed(tmp_path):
    opened(tmp_path / "a" / "b" / "out.jsonl").leave()
    assert not list(tmp_path.iterdir())


def wrote_all_before(step, path):
    """Write or resume in a process that is killed before a change of the disk; False if killed."""
    child = os.fork()
    if child == 0:
        changes = itertools.count()

        def deadly(change, half=None):
            def changed(*arguments, **more):
                if next(changes) == step:
                    if half:
                        half(*arguments)
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*arguments, **more)

            return changed

        for name in ("open", "replace", "fsync", "unlink"):
            setattr(os, name, deadly(getattr(os, name)))
        resumable._write = deadly(
            resumable._write, half=lambda file, content: file.write(content[: len(content) // 2])
        )
        try:
            write_three(path)
        finally:
            os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def write_three(path):
    file = opened(path, resume=True)
    for number in range(file.done, 3):
        file.append(f"{number}\n" * 5, items=1, notes={})
    file.finish()


def test_whenever_it_is_killed_it_is_resumed_to_the_same_bytes(tmp_path):
    for step in itertools.count():
        path = tmp_path / str(step) / "out.jsonl"
        whole = wrote_all_before(step, path)
        if path.exists():
            with pytest.raises(UsageError, match="exists already"):
                opened(path)
        else:
            write_three(path)
        assert path.read_text() == "".join(f"{number}\n" * 5 for number in range(3))
        assert os.listdir(path.parent) == ["out.jsonl"]
        if whole:
            break
    assert step > 12


def test_started_anew_it_is_resumed_like_any_other(path):
    file = opened(path)
    file.append("old\n", items=1, notes={})
    file.leave()
    file = opened(path, overwrite=True)
    file.append("new\n", items=1, notes={})
    file.leave()
    assert opened(path, resume=True).done == 1
    assert (path.parent / "out.jsonl.part").read_text() == "new\n"


def test_a_full_disk_at_the_start_leaves_nothing(path, monkeypatch):
    def full(file, content):
        file.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(resumable, "_write", full)
    with pytest.raises(UsageError, match="No space left"):
        opened(path)
    assert not list(path.parent.iterdir())


def test_a_file_that_the_user_made_meanwhile_is_kept_and_so_is_the_result(path):
    file = opened(path, overwrite=True)
    file.append("result\n", items=1, notes={})
    path.write_text("mine")
    with pytest.raises(UsageError, match="in the meantime"):
        file.finish()
    file.leave()
    assert path.read_text() == "mine"
    path.rename(path.parent / "mine")
    opened(path, resume=True).finish()
    assert path.read_text() == "result\n"
