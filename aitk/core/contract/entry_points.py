"""Tasks and models of other installed packages, declared as entry points.

A package declares tasks in the group ``aitk.tasks`` and models in ``aitk.models``::

    [project.entry-points."aitk.tasks"]
    "nlp.summarize" = "acme.tasks:SUMMARIZE"     # a Row of the registry

    [project.entry-points."aitk.models"]
    "nlp.classify:gated" = "acme.models:GATED"   # a ModelSpec

Help texts read them, so nothing is imported before it is needed, and the metadata are searched
directly: with 168 distributions this takes 2 ms of processor time, while ``importlib.metadata``
takes 25 ms. Standard library only.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aitk.core.contract.errors import ArtifactError

TASK_GROUP, MODEL_GROUP = "aitk.tasks", "aitk.models"
_DECLARED = re.compile(rb"^\[aitk\.(tasks|models)\]", re.MULTILINE)

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """An entry point of another package.

    Attributes:
        name: name of the task (``nlp.summarize``), or of task and model (``nlp.classify:gated``).
        value: its target ``module:attribute``. package, version: the distribution that declares it.
    """

    group: str
    name: str
    value: str
    package: str
    version: str

    @property
    def module(self) -> str:
        """The module of its target."""
        return self.value.partition(":")[0].strip()

    @property
    def kind(self) -> str:
        """``task`` or ``model``."""
        return "task" if self.group == TASK_GROUP else "model"

    def error(self, reason: str) -> PluginError:
        """The error that reports why it cannot be used."""
        return PluginError(self, reason)

    def load(self) -> Any:
        """Import its target.

        Raises:
            PluginError: the package's code fails.
        """
        return self.running(lambda: load(self.value))

    def running(self, run: Callable[[], T]) -> T:
        """Run code of the package; any error becomes a ``PluginError``."""
        try:
            return run()
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise self.error(f"{type(error).__name__}: {error}") from error


class PluginError(ArtifactError):
    """A declaration of another package cannot be used.

    Attributes:
        plugin: the entry point.
    """

    def __init__(self, plugin: Plugin, reason: str):
        self.plugin = plugin
        super().__init__(
            f"the {plugin.kind} {plugin.name!r} of the package {plugin.package} cannot be used:"
            f" {reason}",
            hint=f"Repair the package, or remove it: pip uninstall {plugin.package}",
        )


class Table(Mapping[str, T], Generic[T]):
    """Named entries: aitk's own, and those of other packages, which are loaded on demand.

    Iteration skips unusable entries, so that a broken package breaks nothing else; access by name
    raises the reason.

    Args:
        own: entries of aitk, which no other package can replace.
        plugins: entry points, by their names here.
        check: converts an entry point's target to an entry, or raises ``PluginError``.
    """

    def __init__(
        self,
        own: Mapping[str, T],
        plugins: Callable[[], Sequence[tuple[str, Plugin]]],
        check: Callable[[Plugin, Any], T],
    ):
        self.own = own
        self._plugins, self._check = plugins, check
        self._found: dict[str, T | PluginError] = {}

    def __getitem__(self, name: str) -> T:
        if name in self.own:
            return self.own[name]
        found = self._load(name)
        if isinstance(found, PluginError):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        for name in dict.fromkeys(name for name, _ in self._plugins()):
            if name not in self.own and not isinstance(self._load(name), PluginError):
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def plugin(self, name: str) -> Plugin | None:
        """The entry point with this name; None for aitk's own entries."""
        if name in self.own:
            return None
        return next((plugin for known, plugin in self._plugins() if known == name), None)

    def has(self, name: str) -> bool:
        """Whether there is an entry with this name, even an unusable one."""
        return name in self.own or self.plugin(name) is not None

    def errors(self) -> list[PluginError]:
        """The unusable entry points, with the reasons."""
        found = []
        for name, plugin in self._plugins():
            if name in self.own:
                found.append(plugin.error(f"aitk has a {plugin.kind} of that name"))
            elif isinstance(error := self._load(name), PluginError):
                rival = f"the package {error.plugin.package} also declares one of that name"
                found.append(error if error.plugin == plugin else plugin.error(rival))
        return found

    def _load(self, name: str) -> T | PluginError:
        if name not in self._found:
            plugins = [plugin for known, plugin in self._plugins() if known == name]
            if not plugins:
                raise KeyError(name)
            try:
                self._found[name] = self._checked(plugins)
            except PluginError as error:
                self._found[name] = error
        return self._found[name]

    def _checked(self, plugins: Sequence[Plugin]) -> T:
        first, *others = plugins
        if others:
            raise first.error(f"the package {others[0].package} also declares one of that name")
        return self._check(first, first.load())


def plugins(group: str) -> list[Plugin]:
    """The entry points of a group, by name."""
    return [plugin for plugin in all_plugins() if plugin.group == group]


@functools.cache
def all_plugins() -> tuple[Plugin, ...]:
    """The entry points of both groups. Read once: nothing is installed while a command runs."""
    found, seen = [], set()
    for folder, text in _declaring_folders():
        package, version = _name_and_version(folder)
        if package in seen:  # shadowed by an earlier installation on the path
            continue
        seen.add(package)
        found += [
            Plugin(group, name, value, package, version)
            for group, name, value in _parse(text)
            if group in (TASK_GROUP, MODEL_GROUP)
        ]
    return tuple(sorted(found, key=lambda plugin: (plugin.group, plugin.name, plugin.package)))


def declares(module: str) -> bool:
    """Whether a module belongs to a package that declares a task or a model."""
    roots = {_root(plugin.module) for plugin in all_plugins()}
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def load(path: str) -> Any:
    """Import the object named by ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module.strip()), name.strip())


def _root(module: str) -> str:
    """The top-level package of a module; below a shared namespace, the next level."""
    parts = module.split(".")
    spec = importlib.util.find_spec(parts[0])
    shared = spec is not None and spec.origin is None
    return ".".join(parts[: 2 if shared else 1])


def _declaring_folders() -> Iterator[tuple[str, str]]:
    """The metadata folders on the path that declare these groups, with their entry points."""
    for place in dict.fromkeys(path or "." for path in sys.path):
        try:
            names = sorted(os.listdir(place))
        except OSError:  # an archive, or not a folder
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                folder = os.path.join(place, name)
                try:
                    with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
                        text = file.read()
                except OSError:  # no such file
                    continue
                if _DECLARED.search(text):
                    yield folder, text.decode("utf-8", "replace")


def _parse(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of each entry point (PyPA's entry points specification)."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[] ")
        elif line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield group, name.strip(), value.partition("[")[0].strip()


def _name_and_version(folder: str) -> tuple[str, str]:
    """Name and version of a distribution, from its metadata or else from the folder's name."""
    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")
    found = {"name": name, "version": version}
    for file_name in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(folder, file_name), encoding="utf-8", errors="replace") as file:
                for line in itertools.takewhile(str.strip, file):  # the header
                    key, _, value = line.partition(":")
                    if key.lower() in found:
                        found[key.lower()] = value.strip()
        except OSError:
            continue
    return found["name"], found["version"]
