"""IDX files (MNIST and similar data sets): one file of images, one file of labels."""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Collection, Iterator

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.core.io.images import MOST_PIXELS, encode_png
from aitk.core.io.names import split_named
from aitk.vision.data.archives import HARMLESS_BYTES, MAX_RATIO
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.items import Item
from aitk.vision.data.trees import Tree

#: The largest data set of the MNIST family (EMNIST) has 549 MB.
MAX_BYTES = 2_000_000_000
_IMAGES = re.compile(r"(.*?)([\w-]*)images[-.]idx3[-.]ubyte(\.gz)?")
_IMAGES_MAGIC, _LABELS_MAGIC = 0x803, 0x801


def find_idx(tree: Tree) -> list[str]:
    """The image files of a tree."""
    return [name for name in tree.names if _IMAGES.fullmatch(name)]


def read_idx(
    tree: Tree,
    name: str,
    *,
    annotation_kinds: Collection[str],
    labelled: bool,
    classes: ClassList | None,
) -> Iterator[Item | Refusal]:
    """The images of one file, as PNG, labelled by number or by the names in ``classes``.

    Raises:
        DataError: the file is damaged, or its labels are missing.
    """
    images = _read(tree, name, _IMAGES_MAGIC)
    labels = None
    if labelled and "label" in annotation_kinds:
        label_file = name.replace("images", "labels").replace("idx3", "idx1")
        other = label_file.removesuffix(".gz") if label_file.endswith(".gz") else f"{label_file}.gz"
        found = next((file for file in (label_file, other) if file in tree.names), None)
        if found is None:
            raise DataError(f"has no label file {label_file} next to it", where=tree.location(name))
        labels = _read(tree, found, _LABELS_MAGIC)
        if len(labels) != len(images):
            reason = f"has {len(labels)} labels for {len(images)} images"
            raise DataError(reason, where=tree.location(found))
    match = _IMAGES.fullmatch(name)
    start = match[2] if match else ""
    split = "test" if start.startswith("t10k") else split_named(start)
    file, _ = tree.where(name)
    stem = start.strip("-_.") or "image"
    for at, image in enumerate(images):
        label = None
        if labels is not None:
            number = int(labels[at])
            if classes and number >= len(classes.names):
                reason = f"its class is {number}, but there are only {len(classes.names)} classes"
                yield Refusal(file, at + 1, reason)
                continue
            label = classes.names[number] if classes else str(number)
        yield Item(
            image=lambda image=image: encode_png(image),  # type: ignore[misc]
            name=f"{stem}#{at}",
            file=file,
            line=at + 1,
            split=split,
            label=label,
        )


def _read(tree: Tree, name: str, magic: int) -> np.ndarray:
    """The array in a file, uint8, with the shape given in its header.

    Raises:
        DataError: the file is damaged or too large.
    """
    where = tree.location(name)
    data = tree.read(name, max_bytes=MAX_BYTES)
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                most = min(MAX_BYTES, max(HARMLESS_BYTES, MAX_RATIO * len(data)))
                data = file.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"cannot be read ({error})", where=where) from error
        if len(data) > most:
            raise DataError("is a decompression bomb", where=where)
    axes = magic & 0xFF
    if len(data) < 4 + 4 * axes or struct.unpack(">I", data[:4])[0] != magic:
        raise DataError("is not an IDX file of the kind that its name implies", where=where)
    sizes = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    content = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    if content.size != math.prod(sizes):
        raise DataError("has fewer or more values than its header declares", where=where)
    if not content.size or math.prod(sizes[1:]) > MOST_PIXELS:
        shape_text = " x ".join(map(str, sizes))
        raise DataError(f"holds {shape_text} values, not images or labels", where=where)
    return content.reshape(sizes)
