"""Tasks and models of other installed packages, which declare them as entry points.

A package names its tasks in the group ``aitk.tasks`` and its models in ``aitk.models``::

    [project.entry-points."aitk.tasks"]
    "nlp.summarize" = "acme.tasks:SUMMARIZE"     # a Row of the registry

    [project.entry-points."aitk.models"]
    "nlp.classify:gated" = "acme.models:GATED"   # a ModelSpec

Help texts read them, so nothing is imported before it is needed, and the metadata are searched for
the two groups: with 168 distributions that takes 2 ms of processor time, where importing
``importlib.metadata`` and asking it takes 25 ms. Standard library only.
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
        name: of the task (``nlp.summarize``), or of a task and a model (``nlp.classify:gated``).
        value: ``module:attribute`` that it stands for.
        package, version: of the distribution that declares it.
    """

    group: str
    name: str
    value: str
    package: str
    version: str

    @property
    def module(self) -> str:
        """The module that it lives in."""
        return self.value.partition(":")[0].strip()

    @property
    def kind(self) -> str:
        """``task`` or ``model``."""
        return "task" if self.group == TASK_GROUP else "model"

    def error(self, reason: str) -> PluginError:
        """The error that says why it cannot be used."""
        return PluginError(self, reason)

    def load(self) -> Any:
        """Import what it stands for.

        Raises:
            PluginError: its code fails.
        """
        return self.running(lambda: load(self.value))

    def running(self, run: Callable[[], T]) -> T:
        """Run code of the package; whatever goes wrong in it is a ``PluginError``."""
        try:
            return run()
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # the code of others may raise anything
            raise self.error(f"{type(error).__name__}: {error}") from error


class PluginError(ArtifactError):
    """What another package declares cannot be used.

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
    """What has a name: aitk's own, then those of other packages, which are loaded when needed.

    Iteration leaves out what cannot be used, so that a broken package breaks nothing else; asking
    for it by name raises why.

    Args:
        own: those of aitk; no other package can replace them.
        plugins: the entry points, by the names they have here.
        check: turns what an entry point stands for into an entry, or raises a ``PluginError``.
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
        """The entry point of this name; None for what is aitk's own."""
        if name in self.own:
            return None
        return next((plugin for known, plugin in self._plugins() if known == name), None)

    def has(self, name: str) -> bool:
        """Whether there is such an entry, even one that cannot be used."""
        return name in self.own or self.plugin(name) is not None

    def errors(self) -> list[PluginError]:
        """The entry points that cannot be used, and why."""
        found = []
        for name, plugin in self._plugins():
            if name in self.own:
                found.append(plugin.error(f"aitk has a {plugin.kind} of that name"))
            elif isinstance(error := self._load(name), PluginError):
                rival = f"the package {error.plugin.package} declares one of that name, too"
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
            raise first.error(f"the package {others[0].package} declares one of that name, too")
        return self._check(first, first.load())


def plugins(group: str) -> list[Plugin]:
    """The entry points of a group, in the order of their names."""
    return [plugin for plugin in all_plugins() if plugin.group == group]


@functools.cache
def all_plugins() -> tuple[Plugin, ...]:
    """The entry points of both groups. Read once: nothing is installed while a command runs."""
    found, seen = [], set()
    for folder, text in _declaring_folders():
        package, version = _name_and_version(folder)
        if package in seen:  # an installation further up on the path hides it
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
    """Import what ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module.strip()), name.strip())


def _root(module: str) -> str:
    """The package that a module is part of; below a namespace, which others share, the next."""
    parts = module.split(".")
    spec = importlib.util.find_spec(parts[0])
    shared = spec is not None and spec.origin is None
    return ".".join(parts[: 2 if shared else 1])


def _declaring_folders() -> Iterator[tuple[str, str]]:
    """The metadata folders on the path that declare these groups, with their entry points."""
    for place in dict.fromkeys(path or "." for path in sys.path):
        try:
            names = sorted(os.listdir(place))
        except OSError:  # an archive, or no folder
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                folder = os.path.join(place, name)
                try:
                    with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
                        text = file.read()
                except OSError:  # it has none
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
    """Of a distribution, as its metadata say; else as the folder is called."""
    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")
    found = {"name": name, "version": version}
    for file_name in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(folder, file_name), encoding="utf-8", errors="replace") as file:
                for line in itertools.takewhile(str.strip, file):  # the headers
                    key, _, value = line.partition(":")
                    if key.lower() in found:
                        found[key.lower()] = value.strip()
        except OSError:
            continue
    return found["name"], found["version"]
