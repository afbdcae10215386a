"""Class lists: files with one class per line, optionally with its mask colour.

Supported lines: ``name``, ``name R G B``, ``R G B name`` (CamVid) and ``name:R,G,B::`` (CVAT's
labelmap.txt). YOLO's ``data.yaml`` is supported too. Lines that start with ``#`` are comments.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.io.files import check_file
from aitk.core.io.lines import open_lines
from aitk.vision.data.trees import Tree

MAX_BYTES = 1_000_000
#: Default names of class lists.
LIST_NAMES = (
    "classes.txt", "class_names.txt", "labelmap.txt", "label_colors.txt", "label_colours.txt",
    "codes.txt", "obj.names",
)  # fmt: skip
YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")

_NUMBER = r"(\d{1,3})"
_BETWEEN = r"[\s,]+"
_COLOUR = rf"{_NUMBER}{_BETWEEN}{_NUMBER}{_BETWEEN}{_NUMBER}"
_NAME_FIRST = re.compile(rf"(?P<name>.*?\S)\s*[\s,:]\s*{_COLOUR}(:.*)?")
_COLOUR_FIRST = re.compile(rf"{_COLOUR}[\s,]+(?P<name>\S.*)")


@dataclass(frozen=True)
class ClassList:
    """Classes in the order of their numbers.

    Attributes:
        names: all class names; empty if unknown.
        colours: (red, green, blue) -> number; empty if the file has no colours.
        ignored: classes that become void.
        has_keypoints: YOLO lines have key points after the box (``kpt_shape``).
    """

    names: tuple[str, ...]
    colours: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    ignored: Collection[str] = ()
    has_keypoints: bool = False

    @property
    def kept(self) -> tuple[str, ...]:
        """The names that are not ignored, in the order of stored mask values."""
        return tuple(name for name in self.names if name not in self.ignored)


def read_class_list(file: str, ignored: Collection[str] = ()) -> ClassList:
    """Read a class list given by the user.

    Raises:
        DataError: the file is missing, names no class, or names a class twice.
    """
    check_file(Path(file))
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error
    return parse_class_list(content, file, ignored)


def find_class_list(tree: Tree, ignored: Collection[str] = ()) -> ClassList | None:
    """The class list in a tree of files; the one nearest to the root."""
    found = [
        name for name in tree.names if name.rpartition("/")[2].lower() in (*LIST_NAMES, *YAML_NAMES)
    ]
    for name in sorted(found, key=lambda name: (name.count("/"), name)):
        where = tree.location(name)
        return parse_class_list(tree.read(name, max_bytes=MAX_BYTES), where, ignored)
    return None


def parse_class_list(content: bytes, where: str, ignored: Collection[str] = ()) -> ClassList:
    """Parse the content of a class list.

    Raises:
        DataError: it names no class, names one twice, or names more than a mask can hold.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES:,} bytes", where=where)
    names: list[str] = []
    colours: dict[tuple[int, int, int], int] = {}
    has_keypoints = False
    if where.lower().endswith((".yaml", ".yml")):
        found = parse_yaml(content, where)
        names = _names_of_yaml(found, where)
        has_keypoints = "kpt_shape" in found
    else:
        for line in open_lines(where, content=content):
            text = line.text.strip()
            if not text or text.startswith("#"):
                continue
            match = _COLOUR_FIRST.fullmatch(text) or _NAME_FIRST.fullmatch(text)
            if match:
                red, green, blue = (int(part) for part in match.groups()[_first(match) :][:3])
                colours[red, green, blue] = len(names)
                text = match["name"].strip()
            names.append(text)
    names = [normalise(name) for name in names]
    if not names:
        raise DataError("names no class", where=where)
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(f"names {name!r} twice", where=where)
    if any(len(name) > MAX_LABEL_CHARACTERS for name in names):
        reason = f"has a name of over {MAX_LABEL_CHARACTERS:,} characters"
        raise DataError(reason, where=where)
    if colours and len(colours) < len(names):
        raise DataError("gives a colour of its own to some classes only", where=where)
    return ClassList(tuple(names), colours, frozenset(ignored), has_keypoints)


def _first(match: re.Match[str]) -> int:
    """The index of the first colour group in a match."""
    return 0 if match.re is _COLOUR_FIRST else 1


def parse_yaml(content: bytes, where: str) -> Any:
    """Parse untrusted YAML: lists and mappings of strings.

    Raises:
        DataError: the content is not YAML, or has aliases.
    """
    import yaml

    class Strings(yaml.BaseLoader):
        """Loads every scalar as a string. Aliases are rejected: they can expand without bound."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not supported")
            return super().compose_node(parent, index)

    try:
        return yaml.load(content, Loader=Strings)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be read as YAML ({reason})", where=where) from error


def _names_of_yaml(found: Any, where: str) -> list[str]:
    """``names`` of YOLO's data.yaml: a list, or a mapping from numbers."""
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, dict) and set(names) == {str(number) for number in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError("has no list of names", where=where)
    return names
