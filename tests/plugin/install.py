"""Install a package of pure Python as a wheel would: its files, its name and its entry points."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path


def install(project: Path, site: Path) -> None:
    """Copy the packages of a project, and write the metadata that its ``pyproject.toml`` declares.

    pip would need the build backend, or a network to fetch it.
    """
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    about = declared["project"]
    for package in declared["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / package, site / package, ignore=ignored)
    write_metadata(site, about["name"], about["version"], about["entry-points"])


def write_metadata(
    site: Path, name: str, version: str, entry_points: dict[str, dict[str, str]]
) -> None:
    """Write the ``.dist-info`` folder of a distribution."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")
    lines = []
    for group, entries in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
