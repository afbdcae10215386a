"""What the READMEs say is so: their commands parse, their tables are whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aitk.cli import STAGES
from aitk.core.errors import EXIT_CODES
from aitk.core.outcome import Outcome
from aitk.tasks import TASKS, load_task

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]


def commands(name: str) -> list[list[str]]:
    """The aitk commands in the shell blocks of a page, as words."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("aitk ")]


@pytest.mark.parametrize("words", commands("README.md"), ids=" ".join)
def test_commands_parse(aitk, monkeypatch, words: list[str]) -> None:
    for stage in (*STAGES, "compare"):
        monkeypatch.setattr(
            f"aitk.stages.{stage}.{stage}", lambda *more, **given: Outcome(facts={})
        )
    said = aitk(*words)
    assert said.code == 0, said.err


def test_inputs_of_the_commands_are_there_or_made_before() -> None:
    made: set[str] = set()
    for words in commands("README.md"):
        for word in words[2:]:
            if word.startswith("sample_data/"):
                assert (ROOT / word).is_file(), word
            if re.match(r"(data|runs)/", word) and word != words[-1]:
                assert word in made, f"{word} is used before it is made"
        if "--out" in words:
            assert words[-1] not in made, f"{words[-1]} is written twice"
            made.add(words[-1])


def test_both_languages_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh.md")


@pytest.mark.parametrize("name", READMES)
def test_every_task_model_stage_and_exit_code_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for task in TASKS:
        assert f"| `{task}` |" in text
        for model in load_task(task).models:
            assert f"`{model}`" in text
    for stage in STAGES:
        assert f"| `{stage}` |" in text
    for code in EXIT_CODES:
        assert f"| {code} |" in text
