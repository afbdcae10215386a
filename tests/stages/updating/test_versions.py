"""A folder of versions: the current one is whole at any moment, also after kills."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from aitk.core.artifacts.run import load_run
from aitk.core.artifacts.run_draft import new_run
from aitk.core.contract.errors import UsageError
from aitk.core.io.json_files import read_json
from aitk.stages.updating.versions import CURRENT, Versions, is_versions


@pytest.fixture
def run(write_data, write_run):
    data = write_data("data", train=[("yes", "yes"), ("no", "no")])
    return write_run("run", data, [1, 1])


def add(versions):
    """A version like the current one."""
    old, out = versions.current(), versions.next()
    with new_run(out) as draft:
        old.copy_into(draft.folder)
        draft.finish(read_json(old.folder / "run.json") | {"parent": str(old.folder)})
    return out


def test_versions_begin_with_a_copy_and_roll_back_to_their_parents(run, tmp_path):
    folder = tmp_path / "live"
    with Versions.opened(folder, start=run) as versions:
        assert versions.current().folder == folder / "v0"
        versions.promote(add(versions))
        versions.promote(add(versions))
        assert load_run(folder / CURRENT).manifest["parent"] == str(folder / "v1")
        assert versions.roll_back() == (folder / "v2", folder / "v1")
        assert versions.next() == folder / "v3"  # what was made stays
        versions.roll_back()
        with pytest.raises(UsageError, match="is the first version"):
            versions.roll_back()
    assert is_versions(folder) and not is_versions(run)


def test_versions_go_on_from_their_current_one_alone(run, tmp_path):
    folder = tmp_path / "live"
    with Versions.opened(folder, start=run):
        pass
    with Versions.opened(folder, start=folder / CURRENT):
        pass
    other = pytest.raises(UsageError, match="versions of another run")
    with other, Versions.opened(folder, start=run):
        pass
    with pytest.raises(UsageError, match="no folder of versions"), Versions.opened(run):
        pass


def test_what_is_no_folder_of_versions_is_left_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(UsageError), Versions.opened(tmp_path / "mine", start=run):
        pass
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


ADD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_versions import add
from aitk.stages.updating.versions import Versions
print("ready", flush=True)
with Versions.opened(Path(sys.argv[1])) as versions:
    while True:
        versions.promote(add(versions))
"""


def test_kills_at_random_moments_leave_a_whole_version_current(run, tmp_path):
    folder, here = tmp_path / "live", os.path.dirname(__file__)
    with Versions.opened(folder, start=run):
        pass
    draw, last = random.Random(5), 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", ADD, folder, here], stdout=subprocess.PIPE
        )
        with process, process.stdout as said:
            assert said.readline() == b"ready\n"
            time.sleep(draw.uniform(0.01, 0.15))
            process.send_signal(signal.SIGKILL)
        current = load_run(folder / CURRENT)
        number = int((folder / CURRENT).readlink().name[1:])
        assert number >= last and current.model_path.is_file()
        last = number
    with Versions.opened(folder) as versions:
        versions.promote(add(versions))
    assert (folder / CURRENT).readlink().name == versions.all()[-1].name
