"""``--config FILE``: options from TOML, or from another run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aitk.cli import STAGES
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import read_config, unknown_name


def stage_config(
    path: Path, stage: str, known: Iterable[str], *, takes_settings: bool
) -> dict[str, Any]:
    """The options that a config file sets for one command, with its settings under ``set``.

    A table named after a stage applies to that stage only, so that one file serves a project.

    Args:
        known: names of the stage's options.
        takes_settings: whether the stage has ``--set``.

    Raises:
        UsageError: the file cannot be read, or has an unknown key.
    """
    known = set(known)
    values = read_config(path)
    own = values.get(stage, {})
    if not isinstance(own, dict):
        raise UsageError(f"{stage} is not a table", where=str(path), hint=f"Define it as [{stage}]")
    given = {name: value for name, value in values.items() if name not in (*STAGES, stage)} | own
    settings = given.pop("set", {})
    if not isinstance(settings, dict) or (
        settings and not takes_settings and path.suffix != ".json"
    ):
        raise UsageError(f"{stage} does not support this [set]", where=str(path))
    options = {_field_name(name, known): value for name, value in given.items()}
    for name in options:
        if name not in known:
            names = [name.rstrip("_") for name in known]
            error = unknown_name(name, names, what=f"{stage} option")
            raise UsageError(error.what, where=str(path), hint=error.hint)
    return options | {"set": settings}


def _field_name(name: str, known: set[str]) -> str:
    """``batch-size`` -> ``batch_size``; ``from`` -> ``from_``, a Python keyword."""
    name = name.replace("-", "_")
    return f"{name}_" if f"{name}_" in known else name
