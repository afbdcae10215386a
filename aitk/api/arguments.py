"""Converts keyword arguments of the API to the options dataclasses of stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aitk.core.contract.options import known_names, unknown_name


def divide(given: Mapping[str, Any], *options: type) -> list[dict[str, Any]]:
    """Divide keyword arguments among options dataclasses; one may belong to several.

    Raises:
        UsageError: none of them has such an option; the nearest name is suggested.
    """
    names = [known_names(kind) for kind in options]
    for name in given:
        if not any(_field(name, known) in known for known in names):
            everything = sorted(name.rstrip("_") for name in set().union(*names))
            raise unknown_name(name, everything, what="option")
    return [
        {name: value for name, value in given.items() if _field(name, known) in known}
        for known in names
    ]


def _field(name: str, known: set[str]) -> str:
    return f"{name}_" if f"{name}_" in known else name
