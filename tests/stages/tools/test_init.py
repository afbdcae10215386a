"""A new project holds rows, a Makefile whose rules chain, and a configuration that is read."""

from __future__ import annotations

import subprocess
import tomllib

import pytest

from aitk.core.contract.errors import UsageError
from aitk.stages.tools.init import init


def test_writes_a_project_without_unfilled_words(tmp_path) -> None:
    outcome = init("nlp", tmp_path / "shop")
    assert "rows/messages.csv" in outcome.facts["files"]
    for name in ("Makefile", "README.md", "aitk.toml"):
        assert "%{" not in (tmp_path / "shop" / name).read_text()
    config = tomllib.loads((tmp_path / "shop" / "aitk.toml").read_text())
    assert config["prepare"]["label_column"] == "intent"


def test_make_runs_the_chain_in_order(tmp_path) -> None:
    init("nlp", tmp_path / "shop")
    planned = subprocess.run(
        ["make", "--dry-run"], cwd=tmp_path / "shop", capture_output=True, text=True, check=True
    ).stdout
    stages = [line.split()[2] for line in planned.splitlines() if line.startswith("aitk ")]
    assert sorted(stages) == ["compress", "evaluate", "finetune", "predict", "prepare"]
    assert stages[:2] == ["prepare", "finetune"]
    assert stages.index("compress") < stages.index("predict")


def test_an_empty_folder_will_do_a_full_one_will_not(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    init("nlp", tmp_path / "empty")
    with pytest.raises(UsageError, match="exists already"):
        init("nlp", tmp_path / "empty")
