"""Image patches and their masking, for masked-image pretraining."""

from __future__ import annotations

import zlib

import numpy as np

#: Added to a patch's variance (grey levels 0 to 255): the noise of a flat patch is not a target.
MIN_VARIANCE = 1.0


def choose_visible(count: int, patches: int, *, shown: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the visible patches of each image.

    Args:
        count: number of images.
        patches: patches per image, numbered row by row.
        shown: visible patches per image.

    Returns:
        (count, shown) int32, ascending.
    """
    order = np.argsort(rng.random((count, patches)), axis=1)
    return np.sort(order[:, :shown], axis=1).astype(np.int32)


def own_rng(image: np.ndarray) -> np.random.Generator:
    """A generator seeded by the image, so that evaluation is repeatable."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))


def hidden_pixels(visible: np.ndarray, size: tuple[int, int], *, patch: int) -> np.ndarray:
    """Masked pixels: numbers of visible patches (batch, shown) to (batch, h, w) bool."""
    rows, columns = size[0] // patch, size[1] // patch
    hidden = np.ones((len(visible), rows * columns), bool)
    np.put_along_axis(hidden, visible, False, axis=1)
    grid = hidden.reshape(-1, rows, columns)
    return grid.repeat(patch, axis=1).repeat(patch, axis=2)


def normalise_patches(images: np.ndarray, *, patch: int) -> np.ndarray:
    """Standardise each patch to mean 0 and variance 1 (He et al. 2022, section 4.1).

    Args:
        images: (batch, h, w, 3), 0 to 255.

    Returns:
        float32 of the same shape.
    """
    mean, deviation = patch_statistics(images, patch=patch)
    return (images - mean) / deviation


def patch_statistics(images: np.ndarray, *, patch: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per patch, over pixels and channels: both (batch, h, w, 1)."""
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
    """Fill the masked pixels of images with predictions.

    The model predicts standardised patches; mean and deviation come from the original.

    Args:
        images: (batch, h, w, 3) uint8.
        predicted: of the same shape, on the scale of ``normalise_patches``.
        hidden: (batch, h, w) bool.

    Returns:
        (batch, h, w, 3) uint8.
    """
    mean, deviation = patch_statistics(images, patch=patch)
    filled = np.where(hidden[..., None], predicted * deviation + mean, images)
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)
