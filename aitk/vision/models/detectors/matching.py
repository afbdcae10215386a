"""Assignment of detector positions to objects, in Keras' backend-neutral operations.

Objects are padded: (batch, most, 6) float32, each a box, a class and a weight. Weight 1 is an
object to find. Weight 0 is a region to ignore (a crowd, or an object of an unknown class):
detections in it are neither right nor wrong. Padding has an empty box.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from aitk.vision.models.detectors.boxes import areas, pairwise_iou
from aitk.vision.models.detectors.suppression import take_rows

#: Number of best positions assigned to an object.
TOP = 10
TINY = 1e-30  # an IoU of 1% to the power of 6 is still larger


class Objects(NamedTuple):
    """The objects of a batch of images, and the regions to ignore.

    Attributes:
        boxes: (batch, most, 4).
        classes: (batch, most) int32, 0 where there is none.
        wanted: (batch, most) float32, 1 for objects to find.
        ignored: (batch, most) float32, 1 for regions to ignore.
    """

    boxes: Any
    classes: Any
    wanted: Any
    ignored: Any


class Matched(NamedTuple):
    """The assignment of each position.

    Attributes:
        boxes: (batch, positions, 4) of the object; arbitrary for background.
        classes: (batch, positions) int32, likewise.
        share: (batch, positions) float32: target quality of the object, 0 for background.
        counted: (batch, positions) float32: 0 for positions that the loss ignores.
    """

    boxes: Any
    classes: Any
    share: Any
    counted: Any


def objects_of(targets: Any) -> Objects:
    """Split padded targets (batch, most, 6)."""
    targets = ops.cast(targets, "float32")
    boxes, classes, weights = targets[..., :4], targets[..., 4], targets[..., 5]
    there = areas(boxes) > 0
    wanted = ops.logical_and(ops.logical_and(there, weights > 0), classes >= 0)
    ignored = ops.logical_and(there, ops.logical_not(wanted))
    classes = ops.cast(ops.maximum(classes, 0), "int32")
    return Objects(boxes, classes, ops.cast(wanted, "float32"), ops.cast(ignored, "float32"))


def match_aligned(
    objects: Objects,
    boxes: Any,
    scores: Any,
    points: Any,
    *,
    spacing: float,
    top: int = TOP,
) -> Matched:
    """Task-aligned assignment: the positions that fit an object best in class and box.

    Alignment is score^0.5 * IoU^6 (Feng et al. 2021, section 3.2, with the exponents of Jocher et
    al. 2023).

    Args:
        boxes: (batch, positions, 4), current predictions.
        scores: (batch, positions, classes), current predictions, 0 to 1.
        points: (positions, 2) centres; only those inside an object are candidates.
        spacing: pixels between the points of the finest level: smaller objects are enlarged to this
            size here, since they may fall between points.
        top: number of positions per object.

    ``share`` is the IoU of the best position of each object, scaled down with alignment.
    """
    inside = _inside(points, _widened(objects.boxes, spacing))
    inside = inside * ops.expand_dims(objects.wanted, -1)  # (batch, most, positions)
    iou = pairwise_iou(objects.boxes, boxes)  # (batch, most, positions)
    own = take_rows(ops.transpose(scores, (0, 2, 1)), objects.classes)  # for each object's class
    aligned = ops.sqrt(own) * (iou * iou * iou) ** 2 * inside
    count = min(top, points.shape[0])
    least = ops.top_k(aligned, count)[0][..., -1:]
    chosen = ops.cast(aligned >= ops.maximum(least, TINY), "float32")
    # A position selected by several objects is assigned to the one with the largest overlap.
    best = ops.argmax(iou * chosen, axis=1)  # (batch, positions)
    numbers = ops.reshape(ops.arange(ops.shape(chosen)[1], dtype=best.dtype), (1, -1, 1))
    kept = chosen * ops.cast(ops.equal(ops.expand_dims(best, 1), numbers), "float32")
    aligned = aligned * kept
    highest = ops.max(aligned, axis=2, keepdims=True)
    reach = ops.max(iou * kept, axis=2, keepdims=True)
    share = ops.max(aligned / ops.maximum(highest, TINY) * reach, axis=1)
    return Matched(
        take_rows(objects.boxes, best),
        ops.take_along_axis(objects.classes, best, axis=1),
        share,
        _counted(objects, _inside(points, objects.boxes), share),
    )


def match_anchors(
    objects: Objects, anchors: Any, *, above: float, below: float, force: bool
) -> Matched:
    """Assignment by overlap: anchors that overlap an object enough are assigned to it.

    Args:
        anchors: (positions, 4), or (batch, positions, 4) if they differ by image.
        above: minimum IoU for an anchor to be assigned to the object it overlaps most.
        below: IoU under which it is background; in between, the anchor is ignored.
        force: whether the best anchor of an object is assigned at any overlap
            (Ren et al. 2015, section 3.1.2; Liu et al. 2016, section 2.2).
    """
    if len(anchors.shape) == 2:
        anchors = ops.expand_dims(anchors, 0)
    overlap = pairwise_iou(objects.boxes, anchors)  # (batch, most, positions)
    iou = overlap * ops.expand_dims(objects.wanted, -1)
    if force:
        best = ops.max(iou, axis=2, keepdims=True)
        forced = ops.cast(ops.logical_and(iou >= best, best > 0), "float32")
        # All of several equal anchors are forced; the value exceeds any true overlap.
        iou = iou + 2 * forced
    reach, place = ops.max(iou, axis=1), ops.argmax(iou, axis=1)  # (batch, positions)
    share = ops.cast(reach >= above, "float32")
    between = ops.cast(ops.logical_and(reach >= below, reach < above), "float32")
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2
    counted = _counted(objects, _inside(centres, objects.boxes), share)
    return Matched(
        take_rows(objects.boxes, place),
        ops.take_along_axis(objects.classes, place, axis=1),
        share,
        counted * (1 - between),
    )


def _inside(points: Any, boxes: Any) -> Any:
    """Whether points ([batch,] positions, 2) are inside boxes (batch, most, 4): float32 matrix."""
    points = points if len(points.shape) == 3 else ops.expand_dims(points, 0)
    points, boxes = ops.expand_dims(points, -3), ops.expand_dims(boxes, -2)
    room = ops.minimum(points - boxes[..., :2], boxes[..., 2:] - points)
    return ops.cast(ops.min(room, axis=-1) > 0, "float32")


def _widened(boxes: Any, least: float) -> Any:
    """Enlarge boxes about their centres so that no side is shorter than ``least``."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    halves = ops.maximum(boxes[..., 2:] - boxes[..., :2], least) / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _counted(objects: Objects, inside: Any, share: Any) -> Any:
    """All positions except unassigned ones in ignored regions."""
    hidden = ops.max(inside * ops.expand_dims(objects.ignored, -1), axis=1)
    return ops.maximum(1 - hidden, ops.cast(share > 0, "float32"))
