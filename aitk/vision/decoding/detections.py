"""Detector outputs to boxes in the original images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.boxes import overlaps
from aitk.vision.features.geometry import Fit


def in_original(outputs: np.ndarray, fits: np.ndarray) -> list[np.ndarray]:
    """Detections in pixels of the original images, without padding rows.

    Args:
        outputs: (batch, detections, 6).
        fits: (batch, 6), the resizing of each image.
    """
    found = []
    for rows, fit in zip(outputs, fits, strict=True):
        rows = rows[rows[:, 4] > 0]
        boxes = Fit.from_array(fit).boxes_out(rows[:, :4])
        found.append(np.concatenate([boxes, rows[:, 4:]], axis=1))
    return found


def box_prediction(row: np.ndarray, assets: ImageAssets) -> dict[str, Any]:
    """One detection as JSON: ``label``, its ``number``, ``score`` and ``box``.

    The number is the category id from the COCO training file, if there was one, else the class
    number from 1.

    Args:
        row: (6,) a detection in pixels of the original image.

    Raises:
        ArtifactError: its class has no label.
    """
    place = int(row[5])
    if not 0 <= place < len(assets.labels):
        raise ArtifactError(
            f"the model predicts class {place + 1}, but there are {len(assets.labels)} labels",
            hint="The model and its assets come from different runs",
        )
    ids = assets.parameters.get("category_ids", {})
    numbered = all(label in ids for label in assets.labels)  # ``update`` may have added classes
    return {
        "label": assets.labels[place],
        "number": ids[assets.labels[place]] if numbered else place + 1,
        "score": round(float(row[4]), 6),
        "box": [round(float(side), 2) for side in row[:4]],
    }


def similarity(detection: np.ndarray, found: np.ndarray) -> float:
    """How well a detection is reproduced: the best overlap times score within its class.

    Args:
        detection: (6,).
        found: (n, 6).
    """
    same = found[(found[:, 5] == detection[5]) & (found[:, 4] > 0)]
    if not len(same):
        return 0.0
    return float((overlaps(same[:, :4], detection[None, :4])[:, 0] * same[:, 4]).max())


def object_cells(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """A column (rows,) whose cells are arrays of different lengths."""
    cells = np.empty(len(arrays), object)
    for place, array in enumerate(arrays):
        cells[place] = array
    return cells


def no_detections(images: int) -> np.ndarray:
    """The ``found`` values of ``Detect.measure`` for images without detections."""
    return object_cells([np.zeros((0, 6), np.float32)] * images)
