"""Tables beside the rows: Parquet files whose columns know what kind of attribute they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aitk.core.errors import ArtifactError

if TYPE_CHECKING:
    import pyarrow

KINDS = b"kinds"


def write_table(path: Path, table: pyarrow.Table, kinds: Mapping[str, str] | None = None) -> None:
    """Write a table; ``kinds`` says of its attribute columns what they are."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    if kinds is not None:
        table = table.replace_schema_metadata({KINDS: json.dumps(dict(kinds)).encode()})
    parquet.write_table(table, path, compression="zstd")


def read_table(path: Path) -> tuple[pyarrow.Table, dict[str, str]]:
    """Read a table and the kinds of its attribute columns.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        kinds = json.loads((table.schema.metadata or {}).get(KINDS, b"{}"))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    return table, kinds
