"""Damage to the files of a run or of prepared data, one change at a time."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Values that no key expects.
ODD = [None, True, -1, 0, 2.5, 10**400, float("nan"), "", "x", "\0", "x" * 5000, [], [[]], {}]

Change = tuple[str, Callable[[Path], Any]]


def changes(folder: Path) -> Iterator[Change]:
    """Every change to a folder: its name, and what does it to a copy."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        yield from file_changes(name, path.stat().st_size)
        if path.suffix == ".json":
            yield from json_changes(name, json.loads(path.read_text(encoding="utf-8")))


def file_changes(name: str, size: int) -> Iterator[Change]:
    """A file that is gone, cut, empty, something else, or has one byte flipped."""
    yield f"{name} gone", lambda copy: (copy / name).unlink()
    yield f"{name} a folder", lambda copy: _become_folder(copy / name)
    for share in (0, 0.5, 0.99):
        yield f"{name} cut to {share}", lambda copy, share=share: _cut(copy / name, share)
    for place in range(0, size, max(1, size // 3)):
        yield f"{name} flipped at {place}", lambda copy, place=place: _flip(copy / name, place)
    for content in (b"garbage", b"\xff\xfe", b"[]", b"null", b"[" * 200_000):
        yield (
            f"{name} is {content[:9]!r}",
            lambda copy, content=content: (copy / name).write_bytes(content),
        )


def json_changes(name: str, value: Any) -> Iterator[Change]:
    """A JSON file, each of whose keys in turn is gone or holds an odd value."""
    for keys in _places(value):
        yield f"{name} without {keys}", lambda copy, keys=keys: _edit(copy / name, keys)
        for odd in ODD:
            yield (
                f"{name} with {keys} {str(odd)[:9]!r}",
                lambda copy, keys=keys, odd=odd: _edit(copy / name, keys, odd),
            )


def damaged_copy(folder: Path, copy: Path, change: Change) -> Path:
    """A copy with one change made to it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    change[1](copy)
    return copy


def _places(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Positions of values; for a long list or object, only the first and last."""
    if isinstance(value, dict):
        inner = list(value)
    else:
        inner = list(range(len(value))) if isinstance(value, list) else []
    for key in inner if len(inner) <= 60 else [inner[0], inner[-1]]:
        yield (*keys, key)
        yield from _places(value[key], (*keys, key))


def _edit(path: Path, keys: tuple[Any, ...], *odd: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    inside = value
    for key in keys[:-1]:
        inside = inside[key]
    if odd:
        inside[keys[-1]] = odd[0]
    else:
        del inside[keys[-1]]
    path.write_text(json.dumps(value), encoding="utf-8")


def _become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
