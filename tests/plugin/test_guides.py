"""The guides explain the packages as they are: their code is that of the files."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from aitk.core.contract.task import Task

FOLDER = Path(__file__).parent
DOCS = FOLDER.parents[1] / "docs"
GUIDES = {"adding-a-task.md": "language", "adding-a-model.md": "attention"}
BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(guide: str) -> list[tuple[str, str]]:
    """The kind and text of each block of code."""
    return BLOCK.findall((DOCS / guide).read_text(encoding="utf-8"))


def sources(package: str) -> dict[str, str]:
    project = FOLDER / package
    files = [project / "pyproject.toml", *(project / f"aitk_{package}").glob("*.py")]
    return {path.name: path.read_text(encoding="utf-8") for path in files}


@pytest.mark.parametrize(("guide", "package"), GUIDES.items())
def test_each_code_block_occurs_in_a_file(guide: str, package: str) -> None:
    files = sources(package)
    found = blocks(guide)
    assert len(found) >= 3
    for kind, text in found:
        suffix = {"python": ".py", "toml": ".toml"}[kind]
        assert any(text in file for name, file in files.items() if name.endswith(suffix)), text


@pytest.mark.parametrize(("guide", "package"), GUIDES.items())
def test_each_definition_of_the_package_is_explained(guide: str, package: str) -> None:
    shown = "".join(text for _, text in blocks(guide))
    files = sources(package)
    for name, text in files.items():
        if name.endswith(".py"):
            for definition in re.findall(r"^ *(?:class|def) \w+", text, re.MULTILINE):
                assert definition in shown, f"{name}: {definition}"
    for group in tomllib.loads(files["pyproject.toml"])["project"]["entry-points"].values():
        assert all(f'"{name}" = "{value}"' in shown for name, value in group.items())


@pytest.mark.parametrize(
    ("guide", "files"),
    [
        ("adding-a-task.md", ["language/aitk_language/task.py"]),
        (
            "adding-a-model.md",
            ["attention/aitk_attention/__init__.py", "attention/aitk_attention/backbone.py"],
        ),
    ],
)
def test_the_stated_number_of_lines_is_right(guide: str, files: list[str]) -> None:
    lines = sum(len((FOLDER / name).read_text(encoding="utf-8").splitlines()) for name in files)
    assert f"{lines} lines" in (DOCS / guide).read_text(encoding="utf-8")


def test_the_architecture_page_lists_the_members_of_task() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| (?:attribute|abstract)", page, re.MULTILINE)
    methods = [name for name, value in vars(Task).items() if inspect.isfunction(value)]
    assert shown == [*inspect.get_annotations(Task), *methods]
