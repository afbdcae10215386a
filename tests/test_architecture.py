"""The layers of the package: imports point down, without cycles; help is light; one file prints."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import aitk
from aitk.cli import GENERAL, STAGES
from aitk.registry import COMMANDS, DOMAINS

PACKAGE = Path(aitk.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
#: From the bottom to the top: whatever a module imports lies in its own layer or in a lower one.
LAYERS = ("core", "domain", "registry", "stages", "api", "cli")
HEAVY = {
    "tensorflow", "keras", "keras_hub", "tensorflow_datasets", "spacy", "librosa", "nltk", "cv2",
    "sklearn", "pandas", "numpy", "scipy", "tokenizers", "optuna", "jinja2", "rich",
}  # fmt: skip
#: Module -> the modules of the package that it imports, each with the line that does.
Graph = dict[str, dict[str, int]]


def import_graph(package: Path) -> Graph:
    """The imports between the files of a package, those inside functions included.

    What only type checkers read (``if TYPE_CHECKING``) is omitted.
    """
    files = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    graph: Graph = {}
    for module, path in files.items():
        graph[module] = {}
        for name, line in imported_names(parsed(path)):
            # ``from aitk.core import io`` names a module, ``from aitk.core.io import x`` holds one.
            target = name if name in files else name.rpartition(".")[0]
            if target in files and target != module:
                graph[module].setdefault(target, line)
    return graph


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Whatever is imported in a tree, as ``module`` or ``module.name``, and in which line."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children: list[ast.stmt] = node.orelse
    else:
        children = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr)]  # type: ignore[misc]
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"line {node.lineno}: imports are absolute"
        yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
    for child in children:
        yield from imported_names(child)


def layer_of(module: str) -> str | None:
    """The layer of a module; None for the package itself, which only holds its version."""
    part = module.partition(".")[2].partition(".")[0]
    known = {"__main__": "cli", "errors": "api"} | dict.fromkeys(DOMAINS, "domain")
    return known.get(part, part) or None


def upward_imports(graph: Graph) -> list[str]:
    """The imports of modules in a higher layer."""
    return [
        f"{module}:{line} imports {target}"
        for module, targets in graph.items()
        for target, line in targets.items()
        if layer_of(module) and layer_of(target)
        and LAYERS.index(str(layer_of(target))) > LAYERS.index(str(layer_of(module)))
    ]  # fmt: skip


def cross_domain_imports(graph: Graph) -> list[str]:
    """The imports from one domain into another."""
    return [
        f"{module}:{line} imports {target}"
        for module, targets in graph.items()
        for target, line in targets.items()
        if layer_of(module) == layer_of(target) == "domain"
        and module.split(".")[1] != target.split(".")[1]
    ]


def cycles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import each other in a cycle (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for target in graph[module]:
            if target not in order:
                visit(target)
            if target in stack:
                lowest[module] = min(lowest[module], lowest[target])
        if lowest[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(group)

    for module in graph:
        if module not in order:
            visit(module)
    return found


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph(PACKAGE)


def test_imports_point_down(graph: Graph) -> None:
    assert {layer_of(module) for module in graph} <= {None, *LAYERS}
    assert upward_imports(graph) == []


def test_domains_do_not_import_each_other(graph: Graph) -> None:
    assert cross_domain_imports(graph) == []


def test_no_files_import_each_other_in_a_cycle(graph: Graph) -> None:
    assert cycles(graph) == []


def test_planted_imports_are_found(tmp_path: Path) -> None:
    package = tmp_path / "aitk"
    for name, text in {
        "__init__": "",
        "core/a": "from aitk.core import b",
        "core/b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import aitk.core.c",
        "core/c": "def late():\n    from aitk.core.d import something",
        "core/d": "import aitk.core.c",
        "core/e": "from aitk.nlp.f import g",
        "nlp/f": "from aitk.core.a import x\nimport aitk.speech.f",
        "speech/f": "",
        "stages/h": "import aitk.nlp.f\nimport aitk.core.a",
        "registry": "def load():\n    import aitk.cli.i",
        "cli/i": "from aitk.stages.h import j",
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    planted = import_graph(package)
    assert [sorted(group) for group in cycles(planted)] == [["aitk.core.c", "aitk.core.d"]]
    assert upward_imports(planted) == [
        "aitk.core.e:1 imports aitk.nlp.f",
        "aitk.registry:2 imports aitk.cli.i",
    ]
    assert cross_domain_imports(planted) == ["aitk.nlp.f:2 imports aitk.speech.f"]


def test_only_output_prints() -> None:
    talking = ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo")
    last = {name.rpartition(".")[2] for name in talking}
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node.func)}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) in last
        and ast.unparse(node.func) in talking
    ]
    # ``core/edge/program.py`` is the command of a bundle: aitk copies it, and never runs it.
    allowed = {"cli/output.py", "core/edge/program.py"}
    assert {place.partition(":")[0] for place in found} <= allowed, found


def test_a_module_assigns_a_constant_once() -> None:
    """A second one changes what the code above it reads."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        seen: set[str] = set()
        for node in parsed(path).body:
            if isinstance(node, ast.Assign):
                targets = [each for target in node.targets for each in ast.walk(target)]
                names = {each.id for each in targets if isinstance(each, ast.Name)}
                found += [f"{path.relative_to(PACKAGE)}: {name}" for name in names & seen]
                seen |= names
    assert found == []


def test_table_of_tasks_and_options_need_only_the_standard_library(python) -> None:
    done = python(
        "import sys; import aitk.registry, aitk.stages.options, aitk.stages.tools.chain\n"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('numpy', 'typer', 'pydantic', 'rich')])"
    )
    assert done.stdout.strip() == "[]", done.stderr


HELP = [
    ["--help"],
    ["--version"],
    *([domain, stage, "--help"] for domain in DOMAINS for stage in STAGES),
    *([domain, name, "--help"] for domain, names in COMMANDS.items() for name in names),
    *([question, "--help"] for question in GENERAL),
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
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func) == "keras.saving.register_keras_serializable"
    ]
    assert names
    assert sorted(names) == sorted(set(names))
