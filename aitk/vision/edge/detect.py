"""The boxes of an image. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.vision.edge.pictures import plan_fit


def decode(
    outputs: np.ndarray,
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    tables: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What ``aitk vision predict`` gives for the image: ``boxes``, best first, in its pixels.

    Args:
        outputs: (1, detections, 6): x_min, y_min, x_max, y_max, score, class.
    """
    rows = outputs[0][outputs[0][:, 4] >= settings["min_score"]][: settings["max_boxes"]]
    height, width = fields["image"].shape[:2]
    fit = plan_fit((height, width), tuple(settings["size"]), settings["fit"])
    corner, scales = np.array([fit["left"], fit["top"]] * 2), np.array([fit["x"], fit["y"]] * 2)
    corner, scales = corner.astype(np.float32), scales.astype(np.float32)
    sides = (rows[:, :4] - corner.astype(float)) / scales.astype(float)
    boxes = np.clip(sides, 0, [width, height] * 2).astype(np.float32)
    return {
        "boxes": [
            {
                "label": settings["labels"][int(row[5])],
                "number": settings["numbers"][int(row[5])],
                "score": round(float(row[4]), 6),
                "box": [round(float(side), 2) for side in box],
            }
            for row, box in zip(rows, boxes, strict=True)
        ]
    }
