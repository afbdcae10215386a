"""Records from TensorFlow Datasets, as tables: ``tfds:NAME`` or ``tfds:NAME/SPLIT``."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.io.tables import Record, Table
from aitk.core.io.values import plain_value

PREFIX = "tfds:"
_PREVIEW_ROWS = 200


def open_tfds(source: str) -> list[tuple[str, Table]]:
    """Open the splits of a data set, or the given one, downloading it if necessary.

    Class labels become their names (a hidden label, -1, becomes None), bytes become text.

    Raises:
        DataError: the data set or split does not exist, or cannot be downloaded.
    """
    builder, splits = fetch_tfds(source)
    return [(split, _open_split(builder, split, source)) for split in splits]


def fetch_tfds(source: str) -> tuple[Any, list[str]]:
    """The builder of a data set, downloaded if necessary, and the requested splits.

    Raises:
        DataError: the data set or split does not exist, or cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    name = source.removeprefix(PREFIX)
    try:
        builder, wanted = tfds.builder(name), None
    except (ValueError, ImportError) as error:
        name, slash, wanted = name.rpartition("/")
        if not slash:
            raise _unknown(source, error) from error
        try:
            builder = tfds.builder(name)
        except (ValueError, ImportError) as other:
            raise _unknown(source, other) from other
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints its progress
            builder.download_and_prepare()
    except (OSError, ValueError, RuntimeError, tfds.download.DownloadError) as error:
        raise DataError(f"cannot be downloaded ({error})", where=source) from error
    splits = list(builder.info.splits)
    if wanted and wanted not in splits:
        raise DataError(f"no split {wanted!r}", where=source, hint=f"Splits: {', '.join(splits)}")
    return builder, [wanted] if wanted else splits


def _open_split(builder: Any, split: str, source: str) -> Table:
    import tensorflow_datasets as tfds

    features = builder.info.features
    classes = {
        name: feature
        for name, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    }

    def records() -> Iterator[Record]:
        for example in tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)):
            yield {
                name: _class_name(classes[name], value) if name in classes else _python(value)
                for name, value in example.items()
            }

    preview = list(itertools.islice(records(), _PREVIEW_ROWS))
    return Table(f"{source}[{split}]", list(features), preview, [], iter(enumerate(records(), 1)))


def _class_name(feature: Any, value: Any) -> str | None:
    return None if value < 0 else feature.int2str(int(value))


def _python(value: Any) -> Any:
    return plain_value(value.tolist() if hasattr(value, "tolist") else value)


def _unknown(source: str, error: Exception) -> DataError:
    first_line = str(error).strip().partition("\n")[0]
    return DataError(f"no such TensorFlow data set ({first_line})", where=source)
