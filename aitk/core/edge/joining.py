"""Combines modules into one script: first their imports, then their code in the given order."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path


def join_modules(names: Sequence[str], *, docstring: str, tail: str) -> str:
    """The source of a script with the code of several modules.

    A module may import NumPy, the standard library, and preceding modules.

    Args:
        docstring: docstring of the script.
        tail: its last lines.

    Raises:
        ValueError: a module imports something that the script lacks, or two define the same name.
    """
    modules: set[str] = set()
    imported: dict[str, set[str]] = {}
    parts: list[str] = []
    owners: dict[str, str] = {}
    for place, name in enumerate(names):
        source = _source(name)
        tree = ast.parse(source)
        taken: set[int] = set()  # lines of the docstring and imports
        for at, node in enumerate(tree.body):
            if at == 0 and ast.get_docstring(tree) is not None:
                taken |= _lines(node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                taken |= _lines(node)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aitk."):
                    if node.module not in names[:place]:
                        raise ValueError(f"{name} imports {node.module}, which does not precede it")
                    continue
                names_of = {ast.unparse(each) for each in node.names}
                if isinstance(node, ast.ImportFrom):
                    imported.setdefault(str(node.module), set()).update(names_of)
                else:
                    modules |= names_of
            else:
                for defined in _defined(node):
                    if owners.setdefault(defined, name) != name:
                        raise ValueError(f"{defined} is defined in {owners[defined]} and in {name}")
        kept = [line for number, line in enumerate(source.split("\n"), 1) if number not in taken]
        parts.append("\n".join(kept).strip("\n"))
    imported.pop("__future__", None)
    ours = {name for name in modules if name.startswith("numpy")}
    standard = [f"import {name}" for name in sorted(modules - ours)]
    standard += [
        f"from {module} import {', '.join(sorted(found))}"
        for module, found in sorted(imported.items())
    ]
    head = [
        f'"""{docstring}"""',
        "from __future__ import annotations",
        "\n".join(standard),
        "\n".join(f"import {name}" for name in sorted(ours)),
    ]
    body = "\n\n\n".join([*parts, tail.strip("\n")])
    return "\n\n".join(each for each in head if each) + "\n\n\n" + body + "\n"


def _source(name: str) -> str:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ValueError(f"there is no module {name}")
    return Path(found.origin).read_text(encoding="utf-8")


def _lines(node: ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _defined(node: ast.stmt) -> list[str]:
    """The names defined by a top-level statement of a module."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    ]
