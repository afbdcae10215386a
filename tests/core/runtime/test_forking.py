"""Jobs in processes of their own, forked from one that has paid for the imports."""

import os
import signal

import pytest

from aitk.core.runtime.forking import ForkServer

JOBS = """
import os, signal, sys, tempfile
from pathlib import Path
from aitk.core.runtime.forking import serve

def work(folder):
    what = (folder / "what.txt").read_text()
    (folder / "server.txt").write_text(str(os.getppid()))
    print("libraries print to stdout")
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "raise":
        raise ValueError("no such layer")
    if what == "exit":
        sys.exit("does not suit")
    tempfile.mkstemp(suffix="made")
    (folder / "done.txt").write_text(what)

serve(work)
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "forked_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = ForkServer("forked_jobs")
    yield made
    made.stop()


@pytest.fixture
def run(server, tmp_path):
    def run(what):
        folder = tmp_path / what
        folder.mkdir(exist_ok=True)
        (folder / "what.txt").write_text(what)
        ended = server.run(folder)
        assert (folder / "server.txt").exists(), ended
        return ended, int((folder / "server.txt").read_text())

    return run


def test_jobs_share_a_server_and_none_ends_it(run, tmp_path):
    ended = {what: run(what) for what in ("first", "crash", "raise", "exit", "last")}
    assert len({server for _, server in ended.values()}) == 1
    assert {what: each.code for what, (each, _) in ended.items()} == {
        "first": 0,
        "crash": -signal.SIGSEGV,
        "raise": 1,
        "exit": 1,
        "last": 0,
    }
    assert ended["raise"][0].errors.rstrip().endswith("ValueError: no such layer")
    assert ended["exit"][0].errors.rstrip().endswith("does not suit")
    assert (tmp_path / "last" / "done.txt").exists()
    assert list((tmp_path / "last").glob("*made")), "temporary files are in the job's folder"


def test_a_killed_server_is_started_again(run):
    _, killed = run("first")
    os.kill(killed, signal.SIGKILL)
    ended, server = run("last")
    assert ended.code == 0
    assert server != killed


def test_another_environment_needs_another_server(run, monkeypatch):
    _, before = run("first")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "other")
    _, after = run("last")
    assert after != before


def test_a_stopped_server_leaves_no_process(run, server):
    _, number = run("first")
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
