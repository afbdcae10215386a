"""Vectors of item images, audio or texts, stored with the other attributes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.capabilities import Embed
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.progress import Reporter
from aitk.recsys.data.tables import read_table, write_table

ENCODED = ("text", "picture", "audio")
DESCRIBED = ("picture", "audio")


def add_vectors(path: Path, encoders: Sequence[str], embed: Embed, reporter: Reporter) -> None:
    """Add a column ``NAME_vector`` to the catalogue for each encoded attribute.

    Args:
        path: the catalogue, a Parquet table.
        encoders: ``NAME=SOURCE``. Other images and audio get model-free descriptors.

    Raises:
        UsageError: an encoder is malformed, or its attribute is missing or cannot be encoded.
    """
    import pyarrow

    table, kinds = read_table(path)
    wanted = _by_attribute(encoders, kinds)
    before = len(kinds)
    for name, kind in list(kinds.items()):
        if name in wanted:
            values = table.column(name).to_pylist()
            vectors = embed(wanted[name], values, kind=kind)
        elif kind in DESCRIBED and f"{name}_vector" not in kinds:
            vectors = _described(table.column(name).to_pylist(), kind, reporter)
        else:
            continue
        known = np.any(vectors, axis=1)
        reporter.note(f"{name}: vectors of {int(known.sum()):,} of {len(known):,} items")
        column = pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(vectors.astype(np.float32).ravel()),
            vectors.shape[1],
            mask=pyarrow.array(~known),
        )
        table = table.append_column(f"{name}_vector", column)
        kinds[f"{name}_vector"] = "vector"
    if len(kinds) > before:
        write_table(path, table, kinds)


def _by_attribute(encoders: Sequence[str], kinds: dict[str, str]) -> dict[str, str]:
    wanted = {}
    for assignment in encoders:
        name, equals, source = assignment.partition("=")
        if not equals or not source:
            raise UsageError(
                f"cannot read {assignment!r}",
                where="--encoders",
                hint="Use NAME=RUN or NAME=FOLDER",
            )
        if not kinds:
            raise UsageError(
                "the items have no attributes to encode",
                where="--encoders",
                hint="Give the items file with --items",
            )
        if name not in kinds:
            raise unknown_name(name, kinds, what="item attribute")
        if kinds[name] not in ENCODED:
            raise UsageError(
                f"{name!r} is of kind {kinds[name]}, which encoders do not support",
                where="--encoders",
                hint=f"Encoders support {', '.join(ENCODED)}; see --item-kinds",
            )
        if f"{name}_vector" in kinds:
            raise UsageError(
                f"the items file has a column {name}_vector already",
                where="--encoders",
                hint="Rename that column, or omit this encoder",
            )
        wanted[name] = source
    return wanted


def _described(paths: Sequence[Any], kind: str, reporter: Reporter) -> np.ndarray:
    from aitk.recsys.features.descriptors import describe_files

    vectors, refused = describe_files(paths, kind, reporter=reporter)
    for path, reason in refused:
        reporter.warn(f"{path}: {reason}")
    return vectors
