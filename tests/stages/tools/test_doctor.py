"""The doctor names what is missing and the command that gets it."""

from __future__ import annotations

import json

import pytest

from aitk.core.contract.progress import Silent
from aitk.core.runtime import environment
from aitk.core.runtime.environment import Package
from aitk.stages.tools.doctor import doctor


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Package]:
    """A machine with these packages, and no GPU."""
    packages: list[Package] = [Package("keras", ">=3.15.1", "3.15.1", None, None)]
    monkeypatch.setattr(environment, "packages", lambda: packages)
    monkeypatch.setattr(environment, "devices", lambda: {"gpus": []})
    return packages


def test_a_whole_machine_is_fine(machine) -> None:
    outcome = doctor(reporter=Silent())
    assert outcome.exit_code == 0
    assert outcome.facts["processors"] >= 1


def test_something_required_missing_exits_4_with_the_command(machine) -> None:
    machine.append(Package("tokenizers", ">=0.23.3", None, None, "missing"))
    outcome = doctor(reporter=Silent())
    assert outcome.exit_code == 4
    assert outcome.facts["advice"] == ["pip install 'tokenizers>=0.23.3'"]


def test_a_missing_extra_is_reported_without_an_error(machine) -> None:
    machine.append(Package("sounddevice", ">=0.5", None, "mic", "missing"))
    outcome = doctor(reporter=Silent())
    assert outcome.exit_code == 0
    assert outcome.table[-1]["to get it"] == "pip install 'aitk-toolkit[mic]'"


def test_a_tensorflow_that_does_not_start_is_a_fault(machine, monkeypatch) -> None:
    monkeypatch.setattr(environment, "devices", lambda: {"gpus": [], "error": "no libfoo"})
    assert "no libfoo" in (doctor(reporter=Silent()).broken or "")


def test_json_lists_what_is_broken(aitk, machine) -> None:
    machine.append(Package("nltk", ">=3.10", "2.0", None, "too old"))
    result = aitk("doctor", "--json")
    assert result.code == 4
    assert json.loads(result.out)["problems"] == ["nltk>=3.10 is too old"]
