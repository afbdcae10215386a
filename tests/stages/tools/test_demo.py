"""The demo types every command of the chain and stops at the first that fails."""

from __future__ import annotations

from typing import Any

import pytest

from aitk import registry as tasks
from aitk.core.contract.errors import UsageError
from aitk.core.contract.progress import Silent
from aitk.stages.tools import demo as stage


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo would have run."""
    commands: list[list[str]] = []

    def run(command: list[str], *, folder: Any) -> dict[str, Any]:
        commands.append(command)
        return {"rows": {"train": 8, "test": 2}, "report": f"{command[1]}.html"}

    monkeypatch.setattr(stage, "_run", run)
    return commands


def test_one_chain_of_each_domain_runs_from_prepare_to_explain(typed, tmp_path) -> None:
    outcome = stage.demo(tmp_path / "demo", overwrite=False, reporter=Silent())
    steps = outcome.facts["steps"]
    assert [step["task"] for step in steps if step["stage"] == "explain"] == [
        tasks.names(domain, objective=False)[0] for domain in tasks.DOMAINS
    ]
    assert steps[0]["result"] == "8 train + 2 test"
    assert (tmp_path / "demo/sample_data/messages_new.csv").is_file()


def test_all_runs_every_task_and_pretraining_objective(typed, tmp_path) -> None:
    outcome = stage.demo(tmp_path / "demo", every_task=True, overwrite=False, reporter=Silent())
    steps = outcome.facts["steps"]
    assert {step["task"] for step in steps} == set(tasks.TASKS)
    assert [step["stage"] for step in steps if step["task"] == "nlp.masked-lm"] == [
        "prepare",
        "pretrain",
    ]


def test_reports_of_training_and_explanation_are_named_by_their_path(typed, tmp_path) -> None:
    outcome = stage.demo(tmp_path / "demo", overwrite=False, reporter=Silent())
    assert str(tmp_path / "demo" / "explain.html") in outcome.facts["reports"]
    assert str(tmp_path / "demo" / "evaluate.html") not in outcome.facts["reports"]


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
