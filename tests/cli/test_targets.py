"""Every command that writes refuses an impossible ``--out`` before it works, and harms nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aitk.cli.main import main
from aitk.core.artifacts.data import load_data

#: A command that writes a folder, with its inputs.
FOLDERS = {
    "prepare": ["prepare", "rows.csv", "--task", "classify"],
    "pretrain": ["pretrain", "data"],
    "finetune": ["finetune", "data"],
    "tune": ["tune", "data"],
    "compress": ["compress", "run", "--quantize", "int8"],
    "update": ["update", "run", "rows.csv"],
    "explain": ["explain", "run", "rows.csv"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, their prepared data, a run that nothing was trained for, and the user's own files."""
    folder = tmp_path_factory.mktemp("made")
    rows = [f"word {number} is here,{number % 2}" for number in range(60)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]))
    result = ["nlp", "prepare", folder / "rows.csv", "--task", "classify", "--out", folder / "data"]
    assert main([*map(str, result), "--quiet"]) == 0
    data = load_data(folder / "data")
    manifest = {
        "version": 1,
        "aitk": "0.1.0",
        "task": "nlp.classify",
        "model": "bag",
        "settings": {},
        "options": {},
        "format": "keras",
        "data": {
            "folder": str(folder / "data"),
            "fingerprint": data.fingerprint,
            "reading": data.reading,
        },
    }
    (folder / "run").mkdir()
    (folder / "run" / "model.keras").touch()
    (folder / "run" / "run.json").write_text(json.dumps(manifest))
    (folder / "photos").mkdir()
    (folder / "photos" / "precious.jpg").write_text("x")
    (folder / "dangling").symlink_to("nowhere")
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch):
    """``made`` as the current folder, which must look as before when the test ends."""
    monkeypatch.chdir(made)
    before = contents(made)
    yield made
    assert contents(made) == before


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize(
    "out",
    ["", ".", "..", "/", "photos", "dangling", "rows.csv", "rows.csv/out", "x" * 250, "out.part"],
)
def test_an_impossible_folder_is_refused(aitk, here: Path, command: str, out: str) -> None:
    result = aitk("nlp", *FOLDERS[command], "--out", out, "--overwrite")
    assert result.code == 2, result.err
    assert [line for line in result.lines if line.startswith("aitk: ")] == result.lines[-1:]


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize("name", ["out.part", "out.old"])
def test_a_draft_of_the_user_is_left_alone(aitk, made, monkeypatch, command, name) -> None:
    monkeypatch.chdir(made)
    for each in ("out", name):
        (made / each).mkdir()
        (made / each / "precious").touch()
    try:
        result = aitk("nlp", *FOLDERS[command], "--out", "out", "--overwrite")
        assert result.code == 2, result.err
        assert (made / name / "precious").exists()
        assert (made / "out" / "precious").exists()
    finally:
        shutil.rmtree(made / "out")
        shutil.rmtree(made / name)


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (command, out)
        for command in FOLDERS
        for out in ("data", "run", "data/out", "run/out")
        if out.partition("/")[0] in FOLDERS[command]
        or (out.startswith("data") and command in ("compress", "update"))
    ],
)
def test_no_input_is_written_to(aitk, here: Path, command: str, out: str) -> None:
    result = aitk("nlp", *FOLDERS[command], "--out", out, "--overwrite")
    assert result.code == 2, result.err
    assert "input" in result.lines[-1]


@pytest.mark.parametrize(
    "out",
    ["", ".", "/", "photos", "rows.csv", "run/out.jsonl", "x" * 245 + ".jsonl", "rows.csv/a.jsonl"],
)
def test_an_impossible_file_of_predictions_is_refused(aitk, here: Path, out: str) -> None:
    result = aitk("nlp", "predict", "run", "rows.csv", "--out", out, "--overwrite")
    assert result.code == 2, result.err
