"""Which versions of which packages made something: recorded with every run and data folder."""

from __future__ import annotations

import platform
from importlib import metadata

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
    """Name -> installed version of what results depend on, Python among it."""
    versions = {"python": platform.python_version()}
    for name in RECORDED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
