"""The guide to the Python API runs, and predicts the same bytes as the command line."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "python.md"


@pytest.mark.slow
def test_the_guide_runs_and_the_command_line_predicts_the_same_bytes(tmp_path, monkeypatch, aitk):
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(
        str(GUIDE), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert tried > 15
    assert failed == 0
    result = aitk(
        "nlp", "predict", "runs/messages-int8", "sample_data/messages_new.csv", "--out", "cli.jsonl"
    )
    assert result.code == 0, result.err
    assert Path("cli.jsonl").read_bytes() == Path("predictions.jsonl").read_bytes()
