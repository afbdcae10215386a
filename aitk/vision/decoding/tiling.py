"""Tiled inference: a large image at native resolution through a model of fixed size.

Tiles overlap. Scores are weighted less towards the edges of a tile, where the model has less
context. Only a strip of one tile's height is held in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from aitk.vision.features.geometry import GREY, VOID

#: Minimum overlap of neighbouring tiles, as a share of the tile size.
OVERLAP = 0.25
#: Weight of a tile's outermost pixels; the centre has weight 1.
MIN_WEIGHT = 0.05

#: Tiles (n, h, w, 3) uint8 to pixel probabilities (n, h, w, classes).
Score = Callable[[np.ndarray], np.ndarray]


def tile_starts(length: int, tile: int, *, overlap: float = OVERLAP) -> list[int]:
    """Tile positions along one axis: evenly spaced, the last one flush with the end.

    Args:
        length: pixels to cover; a shorter length gives one tile at 0.
        tile: tile size in pixels.
        overlap: minimum share of a tile covered by the next one.
    """
    room = length - tile
    if room <= 0:
        return [0]
    steps = math.ceil(room / max(1, int(tile * (1 - overlap))))
    return [round(step * room / steps) for step in range(steps + 1)]


def label_in_tiles(
    image: np.ndarray,
    size: tuple[int, int],
    score: Score,
    *,
    batch_size: int,
    overlap: float = OVERLAP,
) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of every pixel.

    Args:
        image: (height, width, 3) uint8, of any size; smaller images are padded with grey.
        size: tile height and width.
        score: the scoring function.
        batch_size: tiles per batch.
        overlap: minimum share of a tile covered by its neighbour.

    Returns:
        (height, width) uint8 class numbers and (height, width) float32 probabilities.
    """
    height, width = image.shape[:2]
    canvas = at_least(image, size, fill=GREY)
    mask = np.empty(canvas.shape[:2], np.uint8)
    certainty = np.empty(canvas.shape[:2], np.float32)
    tops = tile_starts(canvas.shape[0], size[0], overlap=overlap)
    weights = _weights(size)[:, :, None]
    strip = np.zeros(0, np.float32)  # weighted score sums, and sums of the weights
    for top, below in zip(tops, [*tops[1:], None], strict=True):
        for left, scores in _scored(canvas, top, size, score, batch_size, overlap):
            if not strip.size:
                shape = (size[0], canvas.shape[1], scores.shape[-1] + 1)
                strip = np.zeros(shape, np.float32)
            under = strip[:, left : left + size[1]]
            under[..., :-1] += weights * scores
            under[..., -1:] += weights
        done = size[0] if below is None else below - top  # no later tile covers these lines
        mean = strip[:done, :, :-1] / strip[:done, :, -1:]
        mask[top : top + done], certainty[top : top + done] = mean.argmax(axis=2), mean.max(axis=2)
        strip[: size[0] - done] = strip[done:].copy()
        strip[size[0] - done :] = 0
    return mask[:height, :width], certainty[:height, :width]


def piece_of(
    image: np.ndarray,
    mask: np.ndarray,
    size: tuple[int, int],
    *,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of an image (h, w, 3) and its mask (h, w), of tile size.

    Args:
        rng: draws the position; without it, the centre is cropped.
    """
    image, mask = at_least(image, size, fill=GREY), at_least(mask, size, fill=VOID)
    room = [mask.shape[axis] - size[axis] for axis in (0, 1)]
    top, left = (each // 2 if rng is None else int(rng.integers(0, each + 1)) for each in room)
    piece = np.s_[top : top + size[0], left : left + size[1]]
    return image[piece], mask[piece]


def at_least(pixels: np.ndarray, size: tuple[int, int], *, fill: int) -> np.ndarray:
    """Pad pixels (h, w) or (h, w, c) at the bottom and right to a minimum size."""
    missing = [(0, max(0, size[axis] - pixels.shape[axis])) for axis in (0, 1)]
    if not any(after for _, after in missing):
        return pixels
    missing += [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, missing, constant_values=fill)


def _scored(
    canvas: np.ndarray,
    top: int,
    size: tuple[int, int],
    score: Score,
    batch_size: int,
    overlap: float,
) -> Iterator[tuple[int, np.ndarray]]:
    """The left edges and scores (h, w, classes) of one row of tiles."""
    lefts = tile_starts(canvas.shape[1], size[1], overlap=overlap)
    for at in range(0, len(lefts), batch_size):
        some = lefts[at : at + batch_size]
        tiles = [canvas[top : top + size[0], left : left + size[1]] for left in some]
        yield from zip(some, score(np.stack(tiles)), strict=True)


def _weights(size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32 weights that fall linearly from the centre to the edges on each axis."""
    sides = []
    for length in size:
        from_edge = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        sides.append(np.maximum(from_edge / (length / 2), MIN_WEIGHT))
    return np.outer(*sides).astype(np.float32)
