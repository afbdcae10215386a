"""Versions of packages, recorded with every run and data folder."""

from __future__ import annotations

import platform
from importlib import metadata

from aitk.core.contract.entry_points import all_plugins

RECORDED = (
    "tensorflow",
    "keras",
    "keras-hub",
    "tensorflow-datasets",
    "tokenizers",
    "numpy",
    "ai-edge-litert",
    "onnxruntime",
)


def package_versions() -> dict[str, str]:
    """Name -> installed version of all relevant packages, including Python and plug-ins."""
    versions = {"python": platform.python_version()}
    versions |= {plugin.package: plugin.version for plugin in all_plugins()}
    for name in RECORDED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
