"""Images from files, fitted into the size that a model reads. Part of the scripts of bundles;
NumPy alone, and Pillow for the formats that need it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".npy", ".ppm", ".bmp", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff")
GREY = 114  # what surrounds an image of other proportions


def read_rows(
    name: str, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Mapping[str, Any], Any]]:
    """Number, record and fields of an image file, or of all of them in a folder."""
    path = Path(name)
    files = [path]
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES)
    for number, file in enumerate(files, 1):
        try:
            yield number, {"file": str(file)}, {"image": read_image(file)}
        except (OSError, ValueError) as error:
            yield number, {"file": str(file)}, str(error)


def read_image(path: Path) -> np.ndarray:
    """An image as (height, width, 3) uint8 RGB, upright."""
    kind = path.suffix.lower()
    if kind == ".npy":
        image = np.load(path, allow_pickle=False)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"holds {image.dtype} {image.shape}, not uint8 (height, width, 3)")
        return image
    if kind == ".ppm":
        return _read_ppm(path.read_bytes())
    if kind == ".bmp":
        data = path.read_bytes()
        if struct.unpack("<HI", data[28:34]) == (24, 0):
            return _read_bmp(data)
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ValueError(f"{kind} files need Pillow: pip install pillow") from error
    with Image.open(path) as file:
        return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))


def _read_ppm(data: bytes) -> np.ndarray:
    """A binary PPM file of 8 bits: P6, width, height and 255, then the pixels."""
    fields: list[bytes] = []
    place = 0
    while len(fields) < 4:
        end = place
        while data[end : end + 1].strip():
            end += 1
        if data[place : place + 1] == b"#":  # a comment, to the end of its line
            end = data.index(b"\n", place)
        elif end > place:
            fields.append(data[place:end])
        place = end + 1
    if fields[0] != b"P6" or fields[3] != b"255":
        raise ValueError("is no binary PPM file of 8 bits")
    width, height = int(fields[1]), int(fields[2])
    return np.frombuffer(data, np.uint8, height * width * 3, place).reshape(height, width, 3)


def _read_bmp(data: bytes) -> np.ndarray:
    """A BMP file of 24 bits: rows from the bottom up, each padded to four bytes, in BGR."""
    (start,) = struct.unpack("<I", data[10:14])
    width, height = struct.unpack("<ii", data[18:26])
    step = (3 * width + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, step * abs(height), start).reshape(abs(height), step)
    image = rows[:, : 3 * width].reshape(abs(height), width, 3)[:, :, ::-1]
    return image[::-1] if height > 0 else image


def plan_fit(shape: tuple[int, int], size: tuple[int, int], how: str) -> dict[str, float]:
    """How an image of a shape (height, width) is fitted into a size: scales, and where its upper
    left corner lies."""
    (height, width), (rows, columns) = shape, size
    place = {"height": height, "width": width}
    if how == "stretch":
        return {"x": columns / width, "y": rows / height, "left": 0.0, "top": 0.0} | place
    if how == "letterbox":
        scale = min(rows / height, columns / width)
        inner_rows = min(rows, max(1, round(height * scale)))
        inner_columns = min(columns, max(1, round(width * scale)))
        return {
            "x": inner_columns / width,
            "y": inner_rows / height,
            "left": float((columns - inner_columns) // 2),
            "top": float((rows - inner_rows) // 2),
        } | place
    scale = max(rows / height, columns / width)  # crop
    kept_rows = min(height, max(1, round(rows / scale)))
    kept_columns = min(width, max(1, round(columns / scale)))
    x, y = columns / kept_columns, rows / kept_rows
    left, top = -((width - kept_columns) // 2) * x, -((height - kept_rows) // 2) * y
    return {"x": x, "y": y, "left": left, "top": top} | place


def places_of(
    fit: Mapping[str, float], size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the fitted image that the original fills, and what shows of the original."""
    found = []
    for start, scale, room, length in (
        (fit["top"], fit["y"], size[0], int(fit["height"])),
        (fit["left"], fit["x"], size[1], int(fit["width"])),
    ):
        covered = slice(max(0, round(start)), min(room, round(start + scale * length)))
        shows = slice(max(0, round(-start / scale)), min(length, round((room - start) / scale)))
        found.append((covered, shows))
    (rows, upper), (columns, west) = found
    return (rows, columns), (upper, west)


def fit_image(image: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    """An image (h, w, 3) uint8 brought to a size, grey around it where it does not fill it."""
    fit = plan_fit(image.shape[:2], size, how)
    inside, shown = places_of(fit, size)
    rows, columns = (part.stop - part.start for part in inside)
    canvas = np.full((*size, 3), GREY, np.uint8)
    canvas[inside] = resize(image[shown], (rows, columns))
    return canvas


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (h, w, 3) uint8 averaged where it shrinks and interpolated where it grows, as
    OpenCV's INTER_AREA and INTER_LINEAR do."""
    smaller = (min(size[0], image.shape[0]), min(size[1], image.shape[1]))
    if smaller != image.shape[:2]:
        ratios = image.shape[0] / smaller[0], image.shape[1] / smaller[1]
        found = image.astype(np.float32)
        for axis in (1, 0):
            found = _weighted(found, *_area(image.shape[axis], smaller[axis]), axis)
        # Of whole blocks of 2 x 2 OpenCV rounds halves up, of all others to even numbers.
        image = np.floor(found + 0.5) if ratios == (2, 2) else np.rint(found)
        image = np.clip(image, 0, 255).astype(np.uint8)
    if smaller != tuple(size):
        image = _enlarged(image, size)
    return image


def interpolate(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values (h, w) float32 at another size, interpolated linearly."""
    for axis in (1, 0):
        values = _weighted(values, *_linear(values.shape[axis], size[axis]), axis)
    return values


def _weighted(values: np.ndarray, places: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Sums of values along an axis: of each output the places and their weights, (out, taps)."""
    shape = [1] * values.ndim
    shape[axis] = len(places)
    found = np.zeros(1, np.float32)
    for place, weight in zip(places.T, weights.T.astype(np.float32), strict=True):
        found = found + values.take(place, axis) * weight.reshape(shape)
    return found


def _area(length: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each output pixel the input pixels under it, and their shares of its width."""
    scale = length / out
    starts = np.arange(out) * scale
    ends = np.minimum(starts + scale, length)
    first = np.floor(starts + 1e-6).astype(int)
    places = first[:, None] + np.arange(int(np.ceil(scale)) + 1)
    covered = np.minimum(places + 1, ends[:, None]) - np.maximum(places, starts[:, None])
    covered[covered < 1e-3] = 0  # as OpenCV leaves slivers out
    return np.minimum(places, length - 1), covered / (ends - starts)[:, None]


def _linear(length: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each output pixel the two input pixels around its centre, and their weights."""
    centres = ((np.arange(out) + 0.5) * (length / out) - 0.5).astype(np.float32)
    first = np.floor(centres).astype(int)
    share = centres - first
    share[first < 0] = 0
    share[first >= length - 1] = 0
    first = np.clip(first, 0, length - 1)
    places = np.stack([first, np.minimum(first + 1, length - 1)], axis=1)
    return places, np.stack([1 - share, share], axis=1)


def _enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation in OpenCV's whole numbers, of 11 bits a weight."""
    places, weights = _linear(image.shape[1], size[1])
    whole = np.rint(weights * 2048).astype(np.int32)[:, :, None]
    wide = image.astype(np.int32)
    lines = wide[:, places[:, 0]] * whole[:, 0] + wide[:, places[:, 1]] * whole[:, 1]
    places, weights = _linear(image.shape[0], size[0])
    whole = np.rint(weights * 2048).astype(np.int32)[:, :, None, None]
    upper, lower = ((whole[:, tap] * (lines[places[:, tap]] >> 4)) >> 16 for tap in (0, 1))
    return np.clip((upper + lower + 2) >> 2, 0, 255).astype(np.uint8)


def encode(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``image`` (1, h, w, 3) uint8 of an image of any size."""
    return {"image": fit_image(fields["image"], tuple(settings["size"]), settings["fit"])[None]}
