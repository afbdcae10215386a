"""Non-maximum suppression in plain arithmetic, as part of the saved model.

Greedy suppression keeps the best box, drops those of its class that overlap it too much, and
repeats. Given the matrix of "suppresses" between boxes sorted by score, the kept boxes are a fixed
point: a box is kept if no earlier kept box suppresses it. Iterating from "all are kept" converges
to it (Cluster-NMS, Zheng et al. 2021, section 3.3, which proves equality with greedy suppression);
after n rounds, every box is right whose chain of suppressions, each box deciding about the next,
has at most n boxes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from keras import ops

from aitk.vision.models.detectors.boxes import pairwise_iou

#: Among 2,000 random crowds of 300 boxes, none needed over 11. An even number errs on the side of
#: keeping a box too many.
ROUNDS = 16


@dataclass(frozen=True)
class Suppression:
    """Limits of non-maximum suppression.

    Attributes:
        candidates: number of best pairs of box and class considered.
        detections: maximum number of output boxes.
        overlap: intersection over union above which the weaker of two boxes is dropped.
    """

    candidates: int = 300
    detections: int = 100
    overlap: float = 0.6

    @classmethod
    def of(cls, value: Suppression | dict[str, Any]) -> Suppression:
        """The value itself, or an instance from its configuration."""
        return cls(**value) if isinstance(value, dict) else value

    def to_config(self) -> dict[str, Any]:
        """JSON values for a layer's configuration."""
        return dataclasses.asdict(self)


def suppress(boxes: Any, scores: Any, how: Suppression) -> Any:
    """The best boxes of each image, without those overlapped by a better one of their class.

    Args:
        boxes: (batch, n, 4) float32.
        scores: (batch, n, classes) float32, above 0. A box may be kept for several classes.

    Returns:
        (batch, detections, 6) float32: box, score and class, best first; padded with zeros.

    """
    total, classes = scores.shape[1] * scores.shape[2], scores.shape[2]
    candidates = min(how.candidates, total)
    detections = min(how.detections, candidates)
    flat = ops.reshape(scores, (-1, total))
    best, places = ops.top_k(flat, candidates, sorted=True)  # (batch, candidates)
    rows = places // classes if classes > 1 else places
    kinds = ops.cast(places - rows * classes, "float32")
    chosen = take_rows(boxes, rows)  # (batch, candidates, 4)
    kept = best * keep(chosen, kinds, overlap=how.overlap)
    table = ops.concatenate(
        [chosen, ops.expand_dims(kept, -1), ops.expand_dims(kinds, -1)], axis=-1
    )
    kept, order = ops.top_k(kept, detections, sorted=True)
    table = take_rows(table, order) * ops.expand_dims(ops.cast(kept > 0, "float32"), -1)
    missing = how.detections - detections
    return ops.pad(table, ((0, 0), (0, missing), (0, 0))) if missing else table


def keep(boxes: Any, kinds: Any, *, overlap: float) -> Any:
    """The boxes that greedy suppression keeps: float32, 1 for kept.

    Args:
        boxes: (batch, n, 4), best first.
        kinds: (batch, n) float32 class numbers; boxes of different classes ignore each other.
        overlap: intersection over union above which the later box is dropped.
    """
    count = boxes.shape[1]
    alike = ops.expand_dims(kinds, -1) - ops.expand_dims(kinds, -2)
    alike = ops.cast(ops.abs(alike) < 0.5, "float32")
    before = ops.triu(ops.ones((count, count), "float32"), k=1)
    far = ops.cast(pairwise_iou(boxes, boxes) > overlap, "float32")
    suppresses = far * alike * before  # (batch, n, n): row over column
    kept = ops.ones_like(suppresses[:, :1, :])
    for _ in range(min(ROUNDS, count)):
        kept = ops.cast(ops.matmul(kept, suppresses) < 0.5, "float32")
    return kept[:, 0, :]


def take_rows(table: Any, rows: Any) -> Any:
    """Pick rows of each image: (batch, n, columns), (batch, k) -> (batch, k, columns)."""
    return ops.take_along_axis(table, ops.expand_dims(rows, -1), axis=1)
