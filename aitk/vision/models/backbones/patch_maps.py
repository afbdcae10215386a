"""Conversion between a transformer's patch sequence and feature maps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor


@keras.saving.register_keras_serializable("aitk.vision")
class TokensToMap(keras.layers.Layer):
    """Arrange patches as a map of the image, without a class token.

    Args:
        image_size: (height, width) of the images.
        patch_size: (height, width) of a patch.
    """

    def __init__(self, image_size: tuple[int, int], patch_size: tuple[int, int], **kwargs: Any):
        super().__init__(**kwargs)
        # Saved models store tuples as lists.
        self.image_size, self.patch_size = tuple(image_size), tuple(patch_size)
        self.grid = patch_grid(image_size, patch_size)

    def call(self, tokens: Tensor) -> Tensor:
        # (batch, tokens, channels) -> (batch, rows, columns, channels)
        rows, columns = self.grid
        return ops.reshape(tokens[:, -rows * columns :], (-1, rows, columns, tokens.shape[-1]))

    def compute_output_shape(self, tokens_shape: Shape) -> Shape:
        return (tokens_shape[0], *self.grid, tokens_shape[-1])

    def get_config(self) -> dict[str, Any]:
        sizes = {"image_size": self.image_size, "patch_size": self.patch_size}
        return super().get_config() | sizes


def patch_grid(image_size: tuple[int, int], patch_size: tuple[int, int]) -> tuple[int, int]:
    """The number of patch rows and columns."""
    return image_size[0] // patch_size[0], image_size[1] // patch_size[1]


def interpolate_positions(
    positions: np.ndarray, old: tuple[int, int], new: tuple[int, int]
) -> np.ndarray:
    """Interpolate position embeddings to another patch grid (Dosovitskiy et al. 2021, sec. 3.2).

    Args:
        positions: (tokens before the patches + rows * columns, channels).
        old: (rows, columns) of the trained grid.
        new: (rows, columns) of the target grid.
    """
    before = len(positions) - old[0] * old[1]
    grid = positions[before:].reshape(1, *old, positions.shape[-1])
    moved = ops.convert_to_numpy(ops.image.resize(grid, new, interpolation="bicubic"))
    return np.concatenate([positions[:before], moved.reshape(-1, positions.shape[-1])])
