"""Errors in predicted boxes: missed objects and false positives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.vision.features.boxes import overlaps

#: Minimum overlap at which a box finds an object: that of ``map50``.
MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class BoxErrors:
    """The errors of one prediction.

    Attributes:
        false: for each predicted box, whether it is a false positive.
        missed: the objects not found: ``box``, in pixels of the original, and ``label``.
    """

    false: tuple[bool, ...]
    missed: tuple[Mapping[str, Any], ...]


def find_box_errors(prediction: Mapping[str, Any], fields: Mapping[str, Any]) -> BoxErrors | None:
    """Compare predicted boxes with those of the row.

    A box in a crowd of its class is neither right nor wrong, and a crowd cannot be missed.

    Args:
        prediction: a prediction with ``boxes``, best first: ``box`` and ``label`` of each.
        fields: the row: ``boxes`` (n, 4), ``box_labels`` and ``crowd``.

    Returns:
        None if the prediction has no boxes, or the row was not annotated with boxes.
    """
    if "boxes" not in prediction or not fields.get("boxes_known", "boxes" in fields):
        return None
    predicted: Sequence[Mapping[str, Any]] = prediction["boxes"]
    truth = np.asarray(fields["boxes"], np.float32).reshape(-1, 4)
    labels = np.array(fields["box_labels"], object)
    crowd = np.asarray(fields["crowd"], bool)
    corners = np.array([each["box"] for each in predicted], np.float32).reshape(-1, 4)
    shared = overlaps(corners, truth, crowd=crowd)
    free = ~crowd
    false = []
    for each, own in zip(predicted, shared, strict=True):
        near = (own >= MIN_OVERLAP) & (labels == each["label"])
        if (near & free).any():
            free[np.where(near & free, own, -1.0).argmax()] = False
            false.append(False)
        else:
            false.append(not (near & crowd).any())
    missed = [
        {"box": truth[place].tolist(), "label": labels[place]} for place in np.flatnonzero(free)
    ]
    return BoxErrors(tuple(false), tuple(missed))
