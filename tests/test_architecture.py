"""The floors of the house: imports point down, help is light, one file prints."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import aitk
from aitk.cli import QUESTIONS, STAGES
from aitk.registry import DOMAINS

PACKAGE = Path(aitk.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = ["core", "domain", "tasks", "stages", "cli"]  # from the ground up
HEAVY = {
    "tensorflow", "keras", "keras_hub", "tensorflow_datasets", "spacy", "librosa", "nltk", "cv2",
    "sklearn", "matplotlib", "pandas", "numpy", "scipy", "tokenizers", "optuna", "jinja2", "rich",
}  # fmt: skip


def floor(module: str) -> tuple[int, str] | None:
    """How high a module lives, and in which domain; None for aitk itself."""
    part = module.split(".")[1] if "." in module else ""
    if part in DOMAINS:
        return FLOORS.index("domain"), part
    return (FLOORS.index(part), "") if part in FLOORS else None


def imports(path: Path) -> Iterator[str]:
    """The aitk modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("aitk"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aitk"):
            if node.module == "aitk":
                yield from (f"aitk.{name.name}" for name in node.names)
            else:
                yield str(node.module)


def module_of(path: Path) -> str:
    return ".".join(("aitk", *path.relative_to(PACKAGE).with_suffix("").parts))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path: Path) -> None:
    own = floor(module_of(path))
    if own is None:
        return
    for name in imports(path):
        other = floor(name)
        if other is None:
            continue
        assert other[0] <= own[0], f"{module_of(path)} imports {name} from above"
        if own[1] and other[1]:
            assert own[1] == other[1], f"{module_of(path)} imports another domain: {name}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_output_prints(path: Path) -> None:
    if module_of(path) == "aitk.cli.output":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            said = ast.unparse(node.func)
            assert said not in ("sys.stdout.write", "sys.stderr.write", "typer.echo"), said


def test_table_of_tasks_and_options_need_only_the_standard_library(python) -> None:
    done = python(
        "import sys; import aitk.registry, aitk.stages.options, aitk.stages.chain\n"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('numpy', 'typer', 'pydantic', 'rich')])"
    )
    assert done.stdout.strip() == "[]", done.stderr


HELP = [
    ["--help"],
    ["--version"],
    *([domain, stage, "--help"] for domain in DOMAINS for stage in STAGES),
    *([question, "--help"] for question in QUESTIONS),
]


def test_help_loads_nothing_heavy(python) -> None:
    """One process for all of them: what any help loads would show."""
    program = (
        "import json, sys; from aitk.cli.main import main\n"
        f"codes = [main(arguments) for arguments in {HELP!r}]\n"
        "names = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "json.dump([codes, names], sys.stderr)"
    )
    done = python(program)
    codes, loaded = json.loads(done.stderr.splitlines()[-1])
    assert set(codes) == {0}
    assert not HEAVY & set(loaded)


def test_registered_layers_have_names_of_their_own() -> None:
    """Keras finds a layer of a file by its registered name: of two, the last imported would win."""
    names = [
        f"{decorator.args[0].value}>{node.name}"  # type: ignore[attr-defined]
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func) == "keras.saving.register_keras_serializable"
    ]
    assert names
    assert sorted(names) == sorted(set(names))
