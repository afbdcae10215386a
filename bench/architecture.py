"""The shape of the code: who overrides which member of ``Task``, and the modules of each package.

python bench/architecture.py
"""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import aitk
from aitk.core.contract import capabilities
from aitk.core.contract.task import Task
from aitk.registry import BUILT_IN, load_task

PACKAGE = Path(aitk.__file__).parent
LINES = 400


def main() -> None:
    tasks = [type(load_task(name)) for name in BUILT_IN]
    print(f"| member of `Task` | kind | of {len(tasks)} tasks override it | implementations |")
    print("|---|---|---|---|")
    for name, kind in members(Task).items():
        found = [owner for task in tasks if (owner := definition(task, name))]
        print(f"| `{name}` | {kind} | {len(found)} | {len(set(found))} |")
    print("\n| capability | members | tasks that have it |\n|---|---|---|")
    for protocol in protocols():
        own = ", ".join(f"`{name}`" for name in members(protocol))
        count = sum(isinstance(load_task(name), protocol) for name in BUILT_IN)
        print(f"| `{protocol.__name__}` | {own} | {count} |")
    print("\n| package | modules | lines | longest |\n|---|---|---|---|")
    for package, lengths in packages().items():
        print(f"| `{package}` | {len(lengths)} | {sum(lengths):,} | {max(lengths):,} |")
    every = [length for lengths in packages().values() for length in lengths]
    over = sum(length > LINES for length in every)
    print(f"\n{len(every)} modules, {sum(every):,} lines; {over} modules over {LINES} lines.")


def members(contract: type) -> dict[str, str]:
    """The public members that a class declares, in its order: attribute, abstract or default."""
    found = dict.fromkeys(inspect.get_annotations(contract), "attribute")
    for name, value in vars(contract).items():
        if inspect.isfunction(value):
            abstract = getattr(value, "__isabstractmethod__", False)
            found[name] = "abstract method" if abstract else "method with a default"
    return {name: kind for name, kind in found.items() if not name.startswith("_")}


def definition(task: type, name: str) -> type | None:
    """The class that defines the member for this one; None where ``Task`` itself does."""
    owner = next(each for each in task.__mro__ if name in vars(each) or each is Task)
    return None if owner is Task else owner


def protocols() -> list[type]:
    """The capabilities that stages test for."""
    return [
        value
        for value in vars(capabilities).values()
        if getattr(value, "_is_runtime_protocol", False)
        and value.__module__.startswith(capabilities.__name__)
    ]


def packages() -> dict[str, list[int]]:
    """The lines of each module, by package; ``__init__`` counts where it holds code."""
    found: dict[str, list[int]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.name == "__init__.py" and len(lines) < 5:
            continue
        package = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        found.setdefault(package, []).append(len(lines))
    counts = Counter({package: len(lengths) for package, lengths in found.items()})
    return {package: found[package] for package, _ in counts.most_common()}


if __name__ == "__main__":
    main()
