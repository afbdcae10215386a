"""Python child processes of aitk, which import nothing from the working directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aitk


def python_command(*arguments: str) -> list[str]:
    """A command of this interpreter. ``-P`` removes the working directory from its import path."""
    return [sys.executable, "-P", *arguments]


def python_environment() -> dict[str, str]:
    """The environment of such a process, with the import path of this one.

    The working directory is removed from the path unless it contains aitk.
    """
    home = str(Path(aitk.__file__).parents[1])
    kept = [place for place in sys.path if os.path.isabs(place)]
    kept = [place for place in kept if place == home or not _is_working_directory(place)]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(kept)}


def _is_working_directory(place: str) -> bool:
    return os.path.isdir(place) and os.path.samefile(place, os.curdir)
