"""The demo types every command of the chain and stops at the first that fails."""

from __future__ import annotations

from typing import Any

import pytest

from aitk.core.errors import UsageError
from aitk.core.progress import Silent
from aitk.stages import demo as stage


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo would have run."""
    commands: list[list[str]] = []

    def run(command: list[str], *, folder: Any) -> dict[str, Any]:
        commands.append(command)
        return {"rows": {"train": 8, "test": 2}, "report": f"{command[1]}.html"}

    monkeypatch.setattr(stage, "_run", run)
    return commands


def test_runs_each_task_from_prepare_to_predict(typed, tmp_path) -> None:
    outcome = stage.demo(tmp_path / "demo", overwrite=False, reporter=Silent())
    assert ["nlp", "evaluate", "runs/messages"] in typed
    assert [row["stage"] for row in outcome.table if row["task"] == "nlp.masked-lm"] == [
        "prepare",
        "pretrain",
    ]
    assert outcome.table[0]["result"] == "8 train + 2 test"
    assert (tmp_path / "demo/sample_data/messages_new.csv").is_file()


def test_reports_are_named_from_where_the_person_stands(typed, tmp_path) -> None:
    outcome = stage.demo(tmp_path / "demo", overwrite=False, reporter=Silent())
    assert str(tmp_path / "demo" / "evaluate.html") in outcome.facts["reports"]


def test_an_existing_folder_needs_overwrite(typed, tmp_path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        stage.demo(tmp_path, overwrite=False, reporter=Silent())
    stage.demo(tmp_path, overwrite=True, reporter=Silent())
    assert "--overwrite" in typed[0]


def test_a_failing_step_passes_its_exit_code_on(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(stage, "chain", lambda task: {"evaluate": ["runs/missing"]})
    with pytest.raises(stage.StepFailed) as failed:
        stage.demo(tmp_path / "demo", overwrite=False, reporter=Silent())
    assert failed.value.exit_code == 4
