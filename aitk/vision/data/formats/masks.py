"""Masks: reading class masks from common image files, and their stored form.

A stored mask is an 8-bit grey PNG with its class names in a text chunk, so that each row
documents its own values.
"""

from __future__ import annotations

import json
import posixpath
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.io.images import bits_of, check_size, encode_png, image_format
from aitk.core.io.values import to_count
from aitk.core.runtime.silence import capture_stderr
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.items import ClassMask
from aitk.vision.data.trees import Tree
from aitk.vision.features.geometry import VOID

#: A black and white mask with more grey levels than this has soft edges.
MAX_GREY_LEVELS = 8
_CLASSES = b"Classes"
_SIGNATURE_BYTES, _END_BYTES = 8, 12


def encode_mask(mask: ClassMask) -> bytes:
    """Encode a mask as PNG with its class names."""
    data = encode_png(mask.numbers)
    if not mask.names:
        return data
    text = _CLASSES + b"\0" + json.dumps(list(mask.names)).encode("ascii")
    return data[:-_END_BYTES] + _chunk(b"tEXt", text) + data[-_END_BYTES:]


def decode_mask(png: bytes) -> np.ndarray:
    """The classes of a stored mask: (h, w) uint8, 255 = void."""
    import cv2

    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ArtifactError("a stored mask is damaged", hint="Prepare the data again")
    return mask


def mask_names(png: bytes) -> tuple[str, ...]:
    """The class names of a stored mask, by value; empty if it has none."""
    place = len(png) - _END_BYTES
    start = png.rfind(b"tEXt" + _CLASSES + b"\0", 0, place)
    if start < 0:
        return ()
    (length,) = struct.unpack(">I", png[start - 4 : start])
    text = png[start + 4 : start + 4 + length].partition(b"\0")[2]
    return tuple(json.loads(text))


def numbered_by(png: bytes, labels: Sequence[str]) -> np.ndarray:
    """Renumber a stored mask to the order of ``labels``: (h, w) uint8, 255 = void.

    Classes not in ``labels`` become void; masks without names are unchanged.
    """
    numbers, names = decode_mask(png), mask_names(png)
    if not names:
        return numbers
    table = np.full(VOID + 1, VOID, np.uint8)
    for number, name in enumerate(names):
        if name in labels:
            table[number] = labels.index(name)
    return table[numbers]


def mask_reader(
    tree: Tree, name: str, classes: ClassList, *, binary: bool
) -> Callable[[int, int], ClassMask]:
    """Return a function that reads a mask file of a tree."""

    def make(height: int, width: int) -> ClassMask:
        try:
            return read_mask(
                tree.read(name), height=height, width=width, classes=classes, binary=binary
            )
        except DataError as error:
            raise DataError(f"its mask {posixpath.basename(name)} {error.what}") from error

    return make


def read_mask(
    data: bytes, *, height: int, width: int, classes: ClassList, binary: bool
) -> ClassMask:
    """Read a mask from an image file: class numbers (grey or indexed) or colour codes.

    Args:
        height: height of the masked image; ``width`` likewise.
        classes: class names and optionally colours, if known.
        binary: 0 is the first class, any other value the second. With many grey levels (soft edges,
            JPEG), values above the middle are the second.

    Raises:
        DataError: the file is not a mask, has another size, or has a value or colour of no class.
    """
    is_lossy = image_format(data) == "JPEG"
    if is_lossy and not binary:
        reason = "is a JPEG, whose values are not exact: give a PNG, or use --binary-masks"
        raise DataError(f"{reason} if it is black and white")
    values = _values(data, use_colours=bool(classes.colours) and not binary)
    if values.shape[:2] != (height, width):
        found_height, found_width = values.shape[:2]
        raise DataError(
            f"has {found_width} x {found_height} pixels, but its image {width} x {height}"
        )
    if binary:
        grey = values.max(axis=2) if values.ndim == 3 else values
        is_soft = is_lossy or len(np.unique(grey)) > MAX_GREY_LEVELS
        values = (grey > (127 if is_soft else 0)).astype(np.uint8)
    if values.ndim == 3:
        if not classes.colours:
            raise DataError("is colour-coded: define the colours with --classes FILE")
        return ClassMask(_renumbered(_of_colours(values, classes), classes), classes.kept)
    return number_classes(values, classes)


def number_classes(values: np.ndarray, classes: ClassList) -> ClassMask:
    """Convert class numbers to a mask; ignored classes become void.

    Args:
        values: (h, w) numbers in the order of ``classes``; 255 is void. If ``classes`` has no
            names, the numbers serve as names.

    Raises:
        DataError: a number is not a class.
    """
    if not classes.names:
        numbers = values.astype(np.uint8)
        void = [number for name in classes.ignored if (number := to_count(name)) is not None]
        numbers[np.isin(numbers, void)] = VOID
        return ClassMask(numbers)
    largest = int(values[values != VOID].max(initial=0))
    if largest >= len(classes.names):
        hint = " (is it black and white? --binary-masks)" if len(classes.names) == 2 else ""
        raise DataError(
            f"has the value {largest}, but there are only {len(classes.names)} classes{hint}"
        )
    return ClassMask(_renumbered(values.astype(np.uint8), classes), classes.kept)


def _values(data: bytes, *, use_colours: bool) -> np.ndarray:
    """(h, w) numbers, or (h, w, 3) RGB for colour-coded masks."""
    import cv2

    check_size(data, "")
    depth = bits_of(data)
    if data.startswith(b"\x89PNG") and data[25:26] == b"\3" and not use_colours:
        data = _without_palette(data)
    with capture_stderr():
        try:
            values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            values = None
    if values is None:
        raise DataError("is damaged or truncated")
    if values.dtype != np.uint8:
        numbers = values.astype(np.uint8)
        if (odd := values[numbers != values]).size:
            raise DataError(f"has the value {odd.max():g}, but class numbers end at {VOID}")
        values = numbers
    if values.ndim == 3:
        values = values[..., 2::-1]
        if not use_colours and (values == values[..., :1]).all():
            values = values[..., 0]
    if values.ndim == 2 and depth < 8:  # decoding stretches 1, 2 or 4 bits over 0 to 255
        values = values // (255 // ((1 << depth) - 1))
    if values.ndim == 2 and use_colours:
        values = np.stack([values] * 3, axis=-1)
    return values


def _without_palette(png: bytes) -> bytes:
    """Convert an indexed PNG to a grey PNG of its indices."""
    header = png[16:25] + b"\0" + png[26:29]
    parts = [png[:_SIGNATURE_BYTES], _chunk(b"IHDR", header)]
    place = 33
    while place + 12 <= len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] not in (b"PLTE", b"tRNS", b"bKGD", b"hIST"):
            parts.append(png[place : place + 12 + length])
        place += 12 + length
    return b"".join(parts)


def _of_colours(values: np.ndarray, classes: ClassList) -> np.ndarray:
    """(h, w, 3) RGB -> (h, w) numbers."""
    codes = (values.astype(np.int32) << np.array([16, 8, 0])).sum(axis=2)
    found, inverse = np.unique(codes, return_inverse=True)
    numbers = np.zeros(len(found), np.int32)
    for at, code in enumerate(found.tolist()):
        colour = code >> 16, code >> 8 & 255, code & 255
        if colour not in classes.colours:
            count = int((inverse == at).sum())
            raise DataError(f"has {count} pixels of the colour {colour}, which belongs to no class")
        numbers[at] = classes.colours[colour]
    return numbers[inverse].reshape(values.shape[:2])


def _renumbered(values: np.ndarray, classes: ClassList) -> np.ndarray:
    """Map numbers of all classes to those of the classes in use; others become void."""
    kept: Sequence[str] = classes.kept
    if len(classes.names) > VOID:
        raise DataError(f"has one of {len(classes.names)} classes, but a mask holds {VOID}")
    table = np.full(VOID + 1, VOID, np.uint8)
    for number, name in enumerate(classes.names):
        if name not in classes.ignored:
            table[number] = kept.index(name)
    return table[values]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def known_classes(png: bytes, labels: Sequence[str]) -> np.ndarray:
    """A stored mask (h, w) in the model's class numbers; unknown classes become void."""
    mask, names = decode_mask(png), mask_names(png)
    if not names or names == tuple(labels[: len(names)]):
        return mask
    table = np.full(256, VOID, np.uint8)
    for number, name in enumerate(names):
        if name in labels:
            table[number] = labels.index(name)
    return table[mask]
