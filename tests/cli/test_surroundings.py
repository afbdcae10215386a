"""Commands started with closed streams, in a plain locale, in a folder that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aitk.cli.surroundings import own_temporary_folder


def started(shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in which ``$aitk`` is the command."""
    program = f'aitk() {{ {sys.executable} -m aitk "$@"; }}\n{shell}'
    return subprocess.run(
        ["sh", "-c", program], capture_output=True, check=False, env=os.environ | environment
    )


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ("aitk tasks >&-", 2, "stdout: is closed"),
        ("aitk nlp prepare - --task classify --out out --quiet <&-", 2, "stdin: is closed"),
        ("aitk tasks nothing 2>&-", 2, ""),
        ("aitk tasks --quiet >&- 2>&- <&-", 2, ""),
        ("mkdir gone && cd gone && rmdir ../gone && aitk tasks", 2, "the current folder"),
    ],
)
def test_a_missing_stream_or_folder_is_no_bug(
    shell: str, code: int, said: str, tmp_path: Path
) -> None:
    done = started(f"cd {tmp_path} && {shell}")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == bool(said)
    assert said in done.stderr.decode()
    assert os.listdir(tmp_path) == []


def test_talk_never_gets_into_data_where_stderr_is_closed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from aitk.cli.surroundings import open_streams; open_streams()\n"
        "data = open('data', 'w'); os.write(2, b'noise'); print('talk', file=sys.stderr)"
    )
    done = started(f'cd {tmp_path} && {sys.executable} -c "{program}" 2>&-')
    assert done.returncode == 0
    assert (tmp_path / "data").read_bytes() == b""


def test_stdout_is_utf_8_in_every_locale() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = (
        "from aitk.cli.output import Output; from aitk.cli.surroundings import open_streams\n"
        "open_streams(); Output().write(chr(0x706f) + chr(0xdc81))"
    )
    done = started(f"{sys.executable} -c '{program}'", **plain)
    assert done.stdout.decode("utf-8") == "灯\\udc81"


def test_temporary_files_of_libraries_are_removed(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with pytest.raises(OSError), own_temporary_folder():
        left = tempfile.mkdtemp()
        raise OSError
    assert not os.path.exists(left)
    assert tempfile.gettempdir() == before
