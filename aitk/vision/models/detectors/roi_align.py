"""RoIAlign: box features resampled to a fixed size (He et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor

#: Boxes of this side use the map of stride ``CANONICAL_STRIDE``, larger ones coarser maps (Lin et
#: al. 2017a, equation 1).
CANONICAL_SIDE, CANONICAL_STRIDE = 224.0, 16.0


@keras.saving.register_keras_serializable("aitk.vision")
class RoiAlign(keras.layers.Layer):
    """Maps of several strides and boxes to (batch, boxes, bins, bins, channels).

    The value of a bin is the mean of ``samples`` x ``samples`` bilinearly interpolated points. The
    points form a grid, so the cell weights are a product of row and column weights: two matrix
    products and no gathering. All maps are read, and those of other levels get weight 0.

    """

    def __init__(self, strides: Sequence[int], *, bins: int = 7, samples: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.strides = list(strides)
        self.bins, self.samples = bins, samples

    def call(self, maps: Tensor, boxes: Tensor) -> Tensor:
        # boxes: (batch, n, 4) in pixels
        boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
        level = self._level(boxes)  # (batch, n)
        total = None
        for place, (stride, cells) in enumerate(zip(self.strides, maps, strict=True)):
            own = ops.expand_dims(ops.cast(ops.equal(level, place), "float32"), -1)
            rows = self._weights(boxes[..., 1], boxes[..., 3], stride, cells.shape[1])
            columns = self._weights(boxes[..., 0], boxes[..., 2], stride, cells.shape[2])
            own = ops.expand_dims(own, -1)
            found = _read(cells, ops.cast(rows * own, cells.dtype), ops.cast(columns, cells.dtype))
            total = found if total is None else total + found
        return total

    def _level(self, boxes: Any) -> Any:
        """The map level of each box: (batch, n) float32."""
        sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1.0)
        side = ops.sqrt(sides[..., 0] * sides[..., 1])
        stride = ops.log(CANONICAL_STRIDE * side / CANONICAL_SIDE / self.strides[0]) / ops.log(2.0)
        return ops.clip(ops.floor(stride + 1e-6), 0, len(self.strides) - 1)

    def _weights(self, start: Any, end: Any, stride: int, count: int) -> Any:
        """The weight of each cell of an axis in each bin: (batch, n) -> (batch, n, bins, count).

        The centre of cell i is at (i + 0.5) * stride pixels. Points up to a cell outside are
        clamped to the edge; farther ones are 0.
        """
        inside = (ops.arange(self.bins * self.samples, dtype="float32") + 0.5) / (
            self.bins * self.samples
        )
        start, end = ops.expand_dims(start, -1), ops.expand_dims(end, -1)
        places = (start + (end - start) * inside) / stride - 0.5  # (batch, n, bins * samples)
        known = ops.cast(ops.logical_and(places > -1, places < count), "float32")
        places = ops.expand_dims(ops.clip(places, 0, count - 1), -1)
        cells = ops.arange(count, dtype="float32")
        weights = ops.maximum(1 - ops.abs(places - cells), 0.0) * ops.expand_dims(known, -1)
        shape = (-1, start.shape[1], self.bins, self.samples, count)
        return ops.mean(ops.reshape(weights, shape), axis=3)

    def compute_output_shape(self, maps_shape: Any, boxes_shape: Shape) -> Shape:
        return (*boxes_shape[:2], self.bins, self.bins, maps_shape[0][-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "strides": self.strides,
            "bins": self.bins,
            "samples": self.samples,
        }


def _read(cells: Any, rows: Any, columns: Any) -> Any:
    """Weighted sums of cells.

    Args:
        cells: (batch, h, w, channels).
        rows: (batch, n, bins, h) weights.
        columns: (batch, n, bins, w) weights.

    Returns:
        (batch, n, bins, bins, channels).
    """
    _, height, width, channels = cells.shape
    _, count, bins, _ = rows.shape
    flat = ops.reshape(cells, (-1, height, width * channels))
    x = ops.matmul(ops.reshape(rows, (-1, count * bins, height)), flat)
    x = ops.reshape(x, (-1, count, bins, width, channels))
    # (batch, n, 1, bins, w) x (batch, n, bins, w, channels)
    return ops.matmul(ops.expand_dims(columns, 2), x)
