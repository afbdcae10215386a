"""Images cut into square patches, some of them hidden: what masked-image pretraining is about."""

from __future__ import annotations

import zlib

import numpy as np

#: Shades (of 0 to 255) added to a patch's variance: the grain of a flat patch is not to be learned.
MIN_VARIANCE = 1.0


def choose_visible(count: int, patches: int, *, shown: int, rng: np.random.Generator) -> np.ndarray:
    """Draw which patches of each image are shown.

    Args:
        count: images.
        patches: of an image, numbered row by row.
        shown: how many of them are shown.

    Returns:
        (count, shown) int32, ascending.
    """
    order = np.argsort(rng.random((count, patches)), axis=1)
    return np.sort(order[:, :shown], axis=1).astype(np.int32)


def own_rng(image: np.ndarray) -> np.random.Generator:
    """A generator that is the same each time for the same image: evaluation repeats."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))


def hidden_pixels(visible: np.ndarray, size: tuple[int, int], *, patch: int) -> np.ndarray:
    """Which pixels are hidden: numbers of shown patches (batch, shown) to (batch, h, w) bool."""
    rows, columns = size[0] // patch, size[1] // patch
    hidden = np.ones((len(visible), rows * columns), bool)
    np.put_along_axis(hidden, visible, False, axis=1)
    grid = hidden.reshape(-1, rows, columns)
    return grid.repeat(patch, axis=1).repeat(patch, axis=2)


def normalise_patches(images: np.ndarray, *, patch: int) -> np.ndarray:
    """Each patch without its mean, divided by its deviation (He et al. 2022, section 4.1).

    Args:
        images: (batch, h, w, 3), 0 to 255.

    Returns:
        float32 of the same shape.
    """
    mean, deviation = patch_statistics(images, patch=patch)
    return (images - mean) / deviation


def patch_statistics(images: np.ndarray, *, patch: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each patch, over its pixels and colours: both (batch, h, w, 1)."""
    count, height, width, channels = images.shape
    cut = images.reshape(count, height // patch, patch, width // patch, patch, channels)
    cut = cut.astype(np.float32)
    mean = cut.mean(axis=(2, 4, 5))
    deviation = np.sqrt(cut.var(axis=(2, 4, 5)) + MIN_VARIANCE)
    spread = (each.repeat(patch, axis=1).repeat(patch, axis=2) for each in (mean, deviation))
    whole, scale = (each[..., None] for each in spread)
    return whole, scale


def fill_in(
    images: np.ndarray, predicted: np.ndarray, hidden: np.ndarray, *, patch: int
) -> np.ndarray:
    """Images whose hidden pixels are what a model predicted.

    The model tells no more than the pattern of a patch; its mean and deviation are the original's.

    Args:
        images: (batch, h, w, 3) uint8.
        predicted: of the same shape, as ``normalise_patches`` makes it.
        hidden: (batch, h, w) bool.

    Returns:
        (batch, h, w, 3) uint8.
    """
    mean, deviation = patch_statistics(images, patch=patch)
    filled = np.where(hidden[..., None], predicted * deviation + mean, images)
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)
