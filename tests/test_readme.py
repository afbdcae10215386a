"""The commands of the README and the guides parse, their tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aitk.cli import STAGES
from aitk.core.contract.errors import EXIT_CODES
from aitk.core.contract.outcome import Outcome
from aitk.registry import TASKS, load_task

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]
GUIDES = ["nlp.md", "speech.md", "vision.md", "recsys.md"]
PAGES = ["README.md", *(f"docs/{guide}" for guide in GUIDES)]
LINK = re.compile(r"\]\(([^)#:]+)\)")


def commands(name: str) -> list[list[str]]:
    """The aitk commands in the shell blocks of a page, as words."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("aitk ")]


EVERY_COMMAND = [words for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_commands_parse(aitk, monkeypatch, words: list[str]) -> None:
    def stage(*more: object, **given: object) -> Outcome:
        return Outcome(facts={})

    for name in (*STAGES, "compare"):
        monkeypatch.setattr(f"aitk.stages.{name}.{name}", stage)
    for name in ("evaluate", "predict_to", "explain_to"):
        monkeypatch.setattr(f"aitk.api.run.Run.{name}", stage)
    result = aitk(*words)
    assert result.code == 0, result.err


def test_inputs_of_the_commands_are_there_or_made_before() -> None:
    made: set[str] = set()
    for words in EVERY_COMMAND:
        for word in words[2:]:
            if word.startswith("sample_data/"):
                assert (ROOT / word).is_file(), word
            if re.match(r"(data|runs)/", word) and word != words[-1]:
                assert word in made, f"{word} is used before it is made"
        if "--out" in words:
            assert words[-1] not in made, f"{words[-1]} is written twice"
            made.add(words[-1])


@pytest.mark.parametrize(
    ("english", "chinese"),
    [tuple(READMES), *((f"docs/{guide}", f"docs/zh/{guide}") for guide in GUIDES)],
)
def test_both_languages_show_the_same_commands(english: str, chinese: str) -> None:
    assert commands(english) == commands(chinese)


@pytest.mark.parametrize("page", [*READMES, *map(str, sorted((ROOT / "docs").rglob("*.md")))])
def test_links_lead_to_files(page: str) -> None:
    path = ROOT / page
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_a_readme_is_one_page(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("name", READMES)
def test_every_task_model_and_stage_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for task in TASKS:
        assert f"| `{task}` |" in text
        for model in load_task(task).models:
            assert f"`{model}`" in text
    for stage in STAGES:
        assert f"| `{stage}` |" in text


@pytest.mark.parametrize("name", ["docs/reference.md", "docs/zh/reference.md"])
def test_every_exit_code_is_explained(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for code in EXIT_CODES:
        assert f"| {code} |" in text
