"""From raw files to a small, measured, usable model: speech, NLP, vision, recommendation.

>>> import aitk
>>> data = aitk.prepare("reviews.csv", task="nlp.classify", out="data/reviews")  # doctest: +SKIP
>>> run = aitk.finetune(data, out="runs/reviews", model="bag")  # doctest: +SKIP
>>> run.predict([{"text": "late again"}])  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aitk import errors
    from aitk.api.data import Data, join, prepare
    from aitk.api.progress import Progress
    from aitk.api.run import Run, load
    from aitk.api.training import (
        bundle,
        compare,
        compress,
        finetune,
        pretrain,
        search,
        tune,
        update,
    )

__version__ = "0.1.0"

#: Where each public name lives; it is imported when it is first used.
_PUBLIC = {
    "Data": "aitk.api.data",
    "Progress": "aitk.api.progress",
    "Run": "aitk.api.run",
    "bundle": "aitk.api.training",
    "compare": "aitk.api.training",
    "compress": "aitk.api.training",
    "finetune": "aitk.api.training",
    "join": "aitk.api.data",
    "load": "aitk.api.run",
    "prepare": "aitk.api.data",
    "pretrain": "aitk.api.training",
    "search": "aitk.api.training",
    "tune": "aitk.api.training",
    "update": "aitk.api.training",
}

__all__ = [
    "Data",
    "Progress",
    "Run",
    "__version__",
    "bundle",
    "compare",
    "compress",
    "errors",
    "finetune",
    "join",
    "load",
    "prepare",
    "pretrain",
    "search",
    "tune",
    "update",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("aitk.errors")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
