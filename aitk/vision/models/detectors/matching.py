"""Which positions of a detector answer for which object, in Keras' backend-neutral operations.

Objects come padded: (batch, most, 6) float32, each a box, a class and a weight. A weight of 1 is
an object to find. A weight of 0 is a region to ignore (a crowd, or an object of a class that the
model does not know): what lies in it is neither right nor wrong. Padding has an empty box.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from aitk.vision.models.detectors.boxes import areas, pairwise_iou
from aitk.vision.models.detectors.suppression import take_rows

#: The best TOP positions of an object answer for it.
TOP = 10
TINY = 1e-30  # an IoU of 1% to the power of 6 is still larger


class Objects(NamedTuple):
    """The objects of a batch of images, and the regions to ignore.

    Attributes:
        boxes: (batch, most, 4).
        classes: (batch, most) int32, 0 where there is none.
        wanted: (batch, most) float32, 1 for an object to find.
        ignored: (batch, most) float32, 1 for a region to ignore.
    """

    boxes: Any
    classes: Any
    wanted: Any
    ignored: Any


class Matched(NamedTuple):
    """What each position answers for.

    Attributes:
        boxes: (batch, positions, 4) of the object; of no meaning where there is none.
        classes: (batch, positions) int32, likewise.
        share: (batch, positions) float32: how much of an object it is, 0 for background.
        counted: (batch, positions) float32: 0 where background is not to be learned either.
    """

    boxes: Any
    classes: Any
    share: Any
    counted: Any


def objects_of(targets: Any) -> Objects:
    """Take padded targets (batch, most, 6) apart."""
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
    """Task-aligned assignment: the positions that see an object best, class and box together.

    How well is score^0.5 * IoU^6 (Feng et al. 2021, section 3.2, with the exponents of Jocher et
    al. 2023).

    Args:
        boxes: (batch, positions, 4) that the model gives now.
        scores: (batch, positions, classes) that it gives now, 0 to 1.
        points: (positions, 2) centres; only those inside an object may answer for it.
        spacing: pixels between the points of the finest level: a smaller object is taken for
            one of this size here, since it may lie between them.
        top: how many positions answer for an object.

    ``share`` is the IoU of the best position of each object, less for its worse aligned ones.
    """
    inside = _inside(points, _widened(objects.boxes, spacing))
    inside = inside * ops.expand_dims(objects.wanted, -1)  # (batch, most, positions)
    iou = pairwise_iou(objects.boxes, boxes)  # (batch, most, positions)
    own = take_rows(ops.transpose(scores, (0, 2, 1)), objects.classes)  # of each object's class
    aligned = ops.sqrt(own) * (iou * iou * iou) ** 2 * inside
    count = min(top, points.shape[0])
    least = ops.top_k(aligned, count)[0][..., -1:]
    chosen = ops.cast(aligned >= ops.maximum(least, TINY), "float32")
    # A position that several objects chose answers for the one that it overlaps most.
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
    """Assignment by overlap: anchors that overlap an object far enough answer for it.

    Args:
        anchors: (positions, 4), or (batch, positions, 4) where they differ by image.
        above: IoU from which an anchor answers for the object it overlaps most.
        below: IoU under which it is background; between the two it is not counted.
        force: whether the best anchor of an object answers for it, however small the overlap
            (Ren et al. 2015, section 3.1.2; Liu et al. 2016, section 2.2).
    """
    if len(anchors.shape) == 2:
        anchors = ops.expand_dims(anchors, 0)
    overlap = pairwise_iou(objects.boxes, anchors)  # (batch, most, positions)
    iou = overlap * ops.expand_dims(objects.wanted, -1)
    if force:
        best = ops.max(iou, axis=2, keepdims=True)
        forced = ops.cast(ops.logical_and(iou >= best, best > 0), "float32")
        # Of equal anchors all are forced; above every true overlap, so that they win.
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
    """Whether points ([batch,] positions, 2) lie in boxes (batch, most, 4): float32 matrix."""
    points = points if len(points.shape) == 3 else ops.expand_dims(points, 0)
    points, boxes = ops.expand_dims(points, -3), ops.expand_dims(boxes, -2)
    room = ops.minimum(points - boxes[..., :2], boxes[..., 2:] - points)
    return ops.cast(ops.min(room, axis=-1) > 0, "float32")


def _widened(boxes: Any, least: float) -> Any:
    """Boxes around the same centres, no side shorter than ``least``."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    halves = ops.maximum(boxes[..., 2:] - boxes[..., :2], least) / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _counted(objects: Objects, inside: Any, share: Any) -> Any:
    """All positions but those that lie in an ignored region and answer for no object."""
    hidden = ops.max(inside * ops.expand_dims(objects.ignored, -1), axis=1)
    return ops.maximum(1 - hidden, ops.cast(share > 0, "float32"))
