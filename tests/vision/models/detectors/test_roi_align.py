"""RoIAlign as two matrix products against a loop over bins and places."""

import numpy as np
import pytest


def interpolated(cells, y, x):
    """The value between four cells, the edge repeated; 0 beyond a cell outside."""
    height, width = cells.shape[:2]
    if not (-1 < y < height and -1 < x < width):
        return np.zeros(cells.shape[2])
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = (1 - across) * cells[top, left] + across * cells[top, right]
    lower = (1 - across) * cells[below, left] + across * cells[below, right]
    return (1 - down) * upper + down * lower


def aligned(cells, box, stride, bins, samples):
    """RoIAlign as a loop over bins and the places in them."""
    found = np.zeros((bins, bins, cells.shape[2]))
    width, height = (box[2] - box[0]) / bins, (box[3] - box[1]) / bins
    inside = (np.arange(samples) + 0.5) / samples
    for row in range(bins):
        for column in range(bins):
            found[row, column] = np.mean(
                [
                    interpolated(
                        cells,
                        (box[1] + (row + down) * height) / stride - 0.5,
                        (box[0] + (column + across) * width) / stride - 0.5,
                    )
                    for down in inside
                    for across in inside
                ],
                axis=0,
            )
    return found


def test_roi_align_agrees_with_a_loop():
    from aitk.vision.models.detectors.roi_align import RoiAlign

    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(2, 16, 20, 3)), rng.normal(size=(2, 8, 10, 3))]
    boxes = np.array(
        [
            [[3, 5, 21, 17], [0, 0, 160, 120], [0, 0, 0, 0]],
            [[100, 90, 158, 126], [-30, 20, 40, 60], [7, 7, 8, 9]],
        ],
        np.float32,
    )
    layer = RoiAlign([8, 16], bins=3, samples=2)
    found = np.asarray(layer([each.astype(np.float32) for each in maps], boxes))
    # 14 cells a side are what a box should have: all but the whole image are on the fine map.
    for image in range(2):
        for place, box in enumerate(boxes[image].astype(float)):
            side = np.sqrt(max(box[2] - box[0], 1) * max(box[3] - box[1], 1))
            level = int(np.clip(np.floor(np.log2(side / 112)), 0, 1))
            wanted = aligned(maps[level][image], box, [8, 16][level], 3, 2)
            assert found[image, place] == pytest.approx(wanted, abs=1e-4)


def test_large_boxes_are_read_from_coarse_maps():
    from aitk.vision.models.detectors.roi_align import RoiAlign

    maps = [np.full((1, 60, 60, 1), value, np.float32) for value in (1, 2, 3)]
    sides = [40, 111, 113, 223, 225, 1000]
    boxes = np.array([[[0, 0, side, side] for side in sides]], np.float32)
    found = np.asarray(RoiAlign([8, 16, 32], bins=1, samples=1)(maps, boxes))
    level = found[0, :, 0, 0, 0]
    assert level.tolist() == [1, 1, 1, 1, 2, 3]
