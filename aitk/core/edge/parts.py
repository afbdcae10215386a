"""A task's contribution to a bundle (``capabilities.Bundled``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError


@dataclass(frozen=True)
class BundleParts:
    """The task-specific part of a bundle.

    Attributes:
        modules: names of modules that need NumPy only, in script order. Together they define
            ``read_rows``, ``encode`` and ``decode``, as called by ``core.edge.program``.
        settings: JSON values that these functions read.
        tables: arrays that they read.
        reads: description of the input, for the README.
        example: argument of an example command.
        optional: packages that only some inputs need, with their purpose.
    """

    modules: Sequence[str]
    settings: Mapping[str, Any]
    tables: Mapping[str, np.ndarray] = field(default_factory=dict)
    reads: str = ""
    example: str = "INPUT"
    optional: Mapping[str, str] = field(default_factory=dict)


def cannot_bundle(what: str, *, hint: str | None = None) -> UsageError:
    """The error for a run whose steps before or after the model cannot be part of a script."""
    return UsageError(f"{what} cannot be bundled", where="--bundle", hint=hint)


def check_reading(reading: Any, kept: Sequence[str]) -> None:
    """Refuse reading options that change rows in a way that the script does not implement.

    Args:
        reading: the options with which the run's data was prepared.
        kept: names of options that the script implements, or that concern only labels and splits.
    """
    import dataclasses

    for item in dataclasses.fields(reading):
        if item.name in kept or item.metadata.get("locates"):
            continue
        default = (
            item.default_factory()
            if item.default_factory is not dataclasses.MISSING
            else item.default
        )
        value = getattr(reading, item.name)
        if value != default:
            option = f"--{item.name.replace('_', '-')}"
            raise cannot_bundle(
                f"data prepared with {option} {value}",
                hint=f"Prepare it without {option}, or predict with aitk",
            )
