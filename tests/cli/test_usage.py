"""A wrong command line gets one line on stderr, exit code 2, and nothing on stdout."""

from __future__ import annotations

import json

import pytest

WRONG = [
    (["nope"], "nope"),
    (["nlp", "nope"], "nope"),
    (["nlp", "finetune"], "DATA"),
    (["nlp", "finetune", "data"], "--out"),
    (["nlp", "finetune", "data", "--out", "x", "--bogus", "1"], "--bogus"),
    (["nlp", "finetune", "data", "--out", "x", "--optimizer", "adma"], "'adam'"),
    (
        ["nlp", "finetune", "data", "--out", "x", "--learning-rate", "nan"],
        "learning_rate takes a number",
    ),
    (["nlp", "finetune", "data", "--out", "x", "--learning-rate", "fast"], "learning_rate"),
    (["nlp", "finetune", "data", "--out", "x", "--epochs", "-1"], "epochs is -1"),
    (["nlp", "finetune", "data", "--out", "x", "--set", "dropout"], "KEY=VALUE"),
    (["nlp", "finetune", "data", "--out", "x", "--config", "missing.toml"], "missing.toml"),
    (["nlp", "finetune", "data", "--out", "x", "--epochs", "1", "--epochs", "2"], "'1' and '2'"),
    (["nlp", "finetune", "data", "--out", "x", "--out=y"], "'x' and 'y'"),
    (["nlp", "finetune", "data", "--out", "x", "--balance", "--no-balance"], "--no-balance"),
    (["nlp", "finetune", "data", "--out", "x", "--set", "a=1", "--set", "a=2"], "a is set twice"),
    (["compare", "a", "b", "--resamples", "1", "--resamples", "1"], "--resamples"),
    (["nlp", "prepare", "rows.csv", "--out", "x"], "--task"),
    (["nlp", "prepare", "rows.csv", "--out", "x", "--task", "clasify"], "'classify'"),
    (
        ["nlp", "prepare", "a.txt", "--out", "x", "--task", "masked-lm", "--label-column", "y"],
        "--label-column",
    ),
    (["nlp", "predict", "run", "rows.csv", "--json"], "--out FILE"),
    (["tasks", "nope"], "nope"),
    (["init", "cooking", "x"], "cooking"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=[" ".join(wrong) for wrong, _ in WRONG])
def test_usage_error(aitk, tmp_path, monkeypatch, arguments: list[str], named: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = aitk(*arguments)
    assert result.code == 2
    assert len(result.lines) == 1
    assert named in result.err
    if "--json" not in arguments:
        assert result.out == ""


def test_with_json_the_error_is_one_object(aitk) -> None:
    result = aitk("nlp", "finetune", "data", "--out", "x", "--epochs", "-1", "--json")
    told = json.loads(result.out)
    assert told["exit_code"] == result.code == 2
    assert told["error"]["what"] == "epochs is -1"


def test_a_missing_folder_exits_4(aitk, tmp_path) -> None:
    result = aitk("nlp", "finetune", tmp_path / "gone", "--out", tmp_path / "run")
    assert result.code == 4
    assert len(result.lines) == 1
