"""Masks: the class of each pixel, from the files that people keep them in, and as stored.

A stored mask is an 8-bit grey PNG that carries the names of its classes in a text chunk, so that
a row says by itself what its numbers mean.
"""

from __future__ import annotations

import json
import posixpath
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.io.images import bits_of, check_size, encode_png, picture_format
from aitk.core.io.values import to_count
from aitk.core.runtime.silence import capture_stderr
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.items import ClassMask
from aitk.vision.data.trees import Tree
from aitk.vision.features.geometry import VOID

#: A black and white mask of more grey levels has soft edges.
MAX_GREY_LEVELS = 8
_CLASSES = b"Classes"
_SIGNATURE_BYTES, _END_BYTES = 8, 12


def encode_mask(mask: ClassMask) -> bytes:
    """The PNG of a mask, which carries the names of its classes."""
    data = encode_png(mask.numbers)
    if not mask.names:
        return data
    text = _CLASSES + b"\0" + json.dumps(list(mask.names)).encode("ascii")
    return data[:-_END_BYTES] + _chunk(b"tEXt", text) + data[-_END_BYTES:]


def decode_mask(png: bytes) -> np.ndarray:
    """The class of each pixel of a stored mask: (h, w) uint8, 255 = void."""
    import cv2

    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ArtifactError("a stored mask is damaged", hint="Prepare the data again")
    return mask


def mask_names(png: bytes) -> tuple[str, ...]:
    """What the numbers of a stored mask mean; nothing where nobody names them."""
    place = len(png) - _END_BYTES
    start = png.rfind(b"tEXt" + _CLASSES + b"\0", 0, place)
    if start < 0:
        return ()
    (length,) = struct.unpack(">I", png[start - 4 : start])
    text = png[start + 4 : start + 4 + length].partition(b"\0")[2]
    return tuple(json.loads(text))


def numbered_by(png: bytes, labels: Sequence[str]) -> np.ndarray:
    """A stored mask by the numbers that ``labels`` give its classes: (h, w) uint8, 255 = void.

    A class that is none of them is void; a mask without names stays as it is.
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
    """Makes the mask that lies in a file of a tree."""

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
    """The mask in an image file: grey or indexed by class number, or coded by colours.

    Args:
        height: of the image that it is a mask of.
        classes: their names and perhaps colours, as far as somebody told them.
        binary: 0 is the first class, all else the second. Of many grey levels, as soft edges
            and JPEG files have them, those above the middle are the second.

    Raises:
        DataError: it is no such file, has another size, or a value or colour of no class.
    """
    is_lossy = picture_format(data) == "JPEG"
    if is_lossy and not binary:
        reason = "is a JPEG, whose values are not exact: give a PNG, or say --binary-masks"
        raise DataError(f"{reason} where it is black and white")
    values = _values(data, use_colours=bool(classes.colours) and not binary)
    if values.shape[:2] != (height, width):
        found_height, found_width = values.shape[:2]
        raise DataError(
            f"has {found_width} x {found_height} pixels, and its image {width} x {height}"
        )
    if binary:
        grey = values.max(axis=2) if values.ndim == 3 else values
        is_soft = is_lossy or len(np.unique(grey)) > MAX_GREY_LEVELS
        values = (grey > (127 if is_soft else 0)).astype(np.uint8)
    if values.ndim == 3:
        if not classes.colours:
            raise DataError("is coded by colours: say what they mean with --classes FILE")
        return ClassMask(_renumbered(_of_colours(values, classes), classes), classes.kept)
    return number_classes(values, classes)


def number_classes(values: np.ndarray, classes: ClassList) -> ClassMask:
    """A mask of class numbers, those of ignored classes made void.

    Args:
        values: (h, w) numbers in the order of ``classes``; 255 is void. Where these have no
            names, the numbers are their names, and stay what they are.

    Raises:
        DataError: a number has no class.
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
            f"has the value {largest}, and there are {len(classes.names)} classes{hint}"
        )
    return ClassMask(_renumbered(values.astype(np.uint8), classes), classes.kept)


def _values(data: bytes, *, use_colours: bool) -> np.ndarray:
    """(h, w) numbers, or (h, w, 3) RGB where colours code the classes."""
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
        raise DataError("is damaged or cut off")
    if values.dtype != np.uint8:
        numbers = values.astype(np.uint8)
        if (odd := values[numbers != values]).size:
            raise DataError(f"has the value {odd.max():g}, and class numbers end at {VOID}")
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
    """An indexed PNG as a grey one of its indices, without its palette."""
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
            raise DataError(f"has {count} pixels of the colour {colour}, which is of no class")
        numbers[at] = classes.colours[colour]
    return numbers[inverse].reshape(values.shape[:2])


def _renumbered(values: np.ndarray, classes: ClassList) -> np.ndarray:
    """Numbers of all classes -> those of the kept ones, void for the others."""
    kept: Sequence[str] = classes.kept
    if len(classes.names) > VOID:
        raise DataError(f"has one of {len(classes.names)} classes, and a mask holds {VOID}")
    table = np.full(VOID + 1, VOID, np.uint8)
    for number, name in enumerate(classes.names):
        if name not in classes.ignored:
            table[number] = kept.index(name)
    return table[values]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def known_classes(png: bytes, labels: Sequence[str]) -> np.ndarray:
    """A stored mask (h, w) in the numbers of the model's classes; what it does not know is void."""
    mask, names = decode_mask(png), mask_names(png)
    if not names or names == tuple(labels[: len(names)]):
        return mask
    table = np.full(256, VOID, np.uint8)
    for number, name in enumerate(names):
        if name in labels:
            table[number] = labels.index(name)
    return table[mask]
