"""Average precision of detections as defined by COCO, with intervals.

Scores come from pycocotools, the reference (Lin et al. 2014). Intervals need thousands of
resamples of the images, so matches are computed once and recounted; on the original images the
recounted values equal pycocotools (tests/vision/metrics/test_average_precision.py). Without
intervals, as after each training epoch, scores also come from the matches: pycocotools takes as
long for 90 images as a small detector needs to train on 200.

Objects and detections are one array per image, in pixels of the original image: objects (m, 6)
are box, class and 1, or 0 for objects that are not scored (crowd or difficult); detections (n, 6)
are box, score and class. Class -1 is a class unseen in training: it counts as an additional class
that is never found.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.classification import UNSEEN, warn_of_absent_classes
from aitk.core.metrics.statistics import bootstrap_scores
from aitk.vision.features.boxes import overlaps, to_corner_and_size
from aitk.vision.features.geometry import box_areas
from aitk.vision.metrics.box_matching import (
    MAX_DETECTIONS,
    OVERLAPS,
    RECALLS,
    Matches,
    average_precisions,
    match_class,
    precision_recall,
)

SIZES = ("all", "small", "medium", "large")  # below 32 x 32, 96 x 96 pixels, and above
MISSED, NOTHING = "(missed)", "(nothing there)"


#: The metrics that are resampled first.
_AVERAGED = ("map50", "map75", "map")


def score_detections(
    found: Sequence[np.ndarray],
    objects: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score a detector.

    Args:
        found: detections of each image.
        objects: true objects of each image.
        labels: class names.
        resamples: bootstrap resamples of the images; 0 computes neither intervals nor metrics by
            object size.
        seed: seed of the bootstrap.

    Returns:
        Mean average precision at an overlap of 0.5 (``map50``, the main metric), of 0.75
        (``map75``), over 0.5 to 0.95 (``map``) and by object size; the mean recall of up to 100
        detections per image; and precision, recall and F1 at the threshold with the best F1.
        ``per_row`` is the F1 of each image at that threshold.

    Raises:
        DataError: no image has an object.
        ArtifactError: a detection is not finite.
    """
    if not any((truth[:, 5] > 0).any() for truth in objects):
        raise DataError("there are no objects in these images to score")
    if not all(np.isfinite(each).all() for each in found):
        raise ArtifactError("the model outputs are not finite", hint="Train or convert it again")
    found = [each[each[:, 4] > 0] for each in found]
    names = [*labels]
    if any((truth[:, 4] < 0).any() for truth in objects):
        names.append(UNSEEN)
    objects = [_numbered(truth, unseen=len(labels)) for truth in objects]
    matches = [match_class(found, objects, number) for number in range(len(names))]
    precision, recall = (
        reference(found, objects, len(names)) if resamples else precision_recall(matches)
    )
    threshold = _best_score(matches)
    at_best = _counts_at(matches, threshold)  # (images, classes, 3)
    metrics = _metrics(precision, recall, at_best)
    each = precision[..., 0]  # (overlaps, recalls, classes)
    of_classes = [*each[0].mean(axis=0), *each.mean(axis=(0, 1))]
    values = [*(metrics[name].value for name in _AVERAGED), *of_classes]
    averages = bootstrap_scores(
        lambda counts: _resampled(matches, counts),
        len(found),
        resamples=resamples,
        seed=seed,
        values=[value if value >= 0 else np.nan for value in values],
    )
    metrics |= dict(zip(_AVERAGED, averages, strict=False))
    absent = [
        name
        for number, name in enumerate(names)
        if not any((truth[:, 4][truth[:, 5] > 0] == number).any() for truth in objects)
    ]
    return Evaluation(
        metrics={name: score for name, score in metrics.items() if score.value >= 0},  # not NaN
        per_row=_f1(at_best.sum(axis=1)).astype(np.float32),
        statistic=functools.partial(_resampled_map50, [_at_half(item) for item in matches]),
        warnings=warn_of_absent_classes(absent),
        details={
            "labels": [*names, MISSED],
            "absent_classes": absent,
            "best_score": round(threshold, 4),
            "per_class": _per_class(names, at_best, averages[len(_AVERAGED) :]),
            "confusion": _confusion(found, objects, names, threshold),
            "curves": {
                "Precision over recall, at an overlap of 0.5": {
                    "x_label": "recall",
                    "y_label": "precision",
                    "series": {
                        name: [
                            [round(float(x), 2), round(float(y), 4)]
                            for x, y in zip(RECALLS, precision[0, :, number, 0], strict=True)
                        ]
                        for number, name in enumerate(names)
                        if precision[0, 0, number, 0] >= 0
                    },
                }
            },
        },
    )


def reference(
    found: Sequence[np.ndarray], objects: Sequence[np.ndarray], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values of pycocotools: precision (overlaps, recalls, classes, sizes) and recall (overlaps,
    classes, sizes), -1 where there are no such objects."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = _coco([(each[:, :4], each[:, 4], {"iscrowd": 1 - each[:, 5]}) for each in objects])
    predictions = _coco([(each[:, :4], each[:, 5], {"score": each[:, 4]}) for each in found])
    scored, made = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        for side, annotations in ((scored, truth), (made, predictions)):
            side.dataset = {
                "images": [{"id": number} for number in range(len(found))],
                "categories": [{"id": number} for number in range(classes)],
                "annotations": annotations,
            }
            side.createIndex()
        evaluator = COCOeval(scored, made, "bbox")
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval["precision"][..., 0], evaluator.eval["recall"][..., 0]


def _numbered(truth: np.ndarray, *, unseen: int) -> np.ndarray:
    """Objects with unknown classes renumbered to one after the last."""
    truth = truth.copy()
    truth[truth[:, 4] < 0, 4] = unseen
    return truth


def _coco(images: Sequence[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]) -> list[Any]:
    """Annotations in COCO form, from (boxes, classes, further columns) per image."""
    annotations: list[dict[str, Any]] = []
    for image, (boxes, classes, more) in enumerate(images):
        boxes = np.asarray(boxes, np.float64)
        areas = box_areas(boxes).tolist()
        columns = {name: column.tolist() for name, column in more.items()}
        for place, box in enumerate(to_corner_and_size(boxes).tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(classes[place]),
                    "bbox": box,
                    "area": areas[place],
                    "iscrowd": 0,
                }
                | {name: column[place] for name, column in columns.items()}
            )
    return annotations


def _resampled(matches: Sequence[Matches], counts: np.ndarray) -> np.ndarray:
    """(resamples, images) -> (resamples, 3 + 2 * classes): ``map50``, ``map75``, ``map``, and
    the average precision of each class at 0.5 and over all overlaps."""
    each = np.stack([average_precisions(item, counts) for item in matches], axis=2)
    known = np.isfinite(each)  # (resamples, overlaps, classes)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, each, 0).sum(axis=2) / known.sum(axis=2)
    at_75 = int(np.argmin(np.abs(OVERLAPS - 0.75)))
    summary = np.stack([mean[:, 0], mean[:, at_75], mean.mean(axis=1)], axis=1)
    return np.concatenate([summary, each[:, 0], each.mean(axis=1)], axis=1)


def _at_half(matches: Matches) -> Matches:
    """The matches at an overlap of 0.5 only."""
    return dataclasses.replace(matches, right=matches.right[:1], ignored=matches.ignored[:1])


def _resampled_map50(matches: Sequence[Matches], counts: np.ndarray) -> np.ndarray:
    """(resamples, images) -> (resamples,): ``map50``, from matches at an overlap of 0.5."""
    each = np.concatenate([average_precisions(item, counts) for item in matches], axis=1)
    known = np.isfinite(each)  # (resamples, classes)
    with np.errstate(invalid="ignore"):
        return np.where(known, each, 0).sum(axis=1) / known.sum(axis=1)


def _metrics(precision: np.ndarray, recall: np.ndarray, at_best: np.ndarray) -> dict[str, Score]:
    """The metrics, -1 where there are no such objects."""

    def mean(values: np.ndarray) -> Score:
        known = values[values > -1]
        return Score(float(known.mean()) if len(known) else -1.0)

    at_75 = int(np.argmin(np.abs(OVERLAPS - 0.75)))
    right, wrong, missed = at_best.sum(axis=(0, 1))
    return {
        "map50": mean(precision[0, :, :, 0]),
        "map75": mean(precision[at_75, :, :, 0]),
        "map": mean(precision[..., 0]),
        **{
            f"map_{size}": mean(precision[..., place])
            for place, size in enumerate(SIZES[: precision.shape[-1]])
            if place
        },
        "mean_recall": mean(recall[..., 0]),
        "precision": Score(float(right / max(right + wrong, 1))),
        "recall": Score(float(right / max(right + missed, 1))),
        "f1": Score(float(_f1(at_best.sum(axis=(0, 1))))),
    }


def _best_score(matches: Sequence[Matches]) -> float:
    """The score threshold with the best F1 over all classes, at an overlap of 0.5."""
    scores = np.concatenate([item.scores[~item.ignored[0]] for item in matches])
    right = np.concatenate([item.right[0][~item.ignored[0]] for item in matches])
    if not len(scores):
        return 1.0
    order = np.argsort(-scores, kind="mergesort")
    hits = np.cumsum(right[order])
    total = sum(item.objects.sum() for item in matches)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + total)
    return float(scores[order][np.argmax(f1)])


def _counts_at(matches: Sequence[Matches], threshold: float) -> np.ndarray:
    """(images, classes, 3): true positives, false positives and misses at an overlap of 0.5."""
    counts = np.zeros((len(matches[0].objects), len(matches), 3))
    for number, item in enumerate(matches):
        reported = (item.scores >= threshold) & ~item.ignored[0]
        for column, kind in enumerate((item.right[0], ~item.right[0])):
            np.add.at(counts[:, number, column], item.images[reported & kind], 1)
        counts[:, number, 2] = item.objects - counts[:, number, 0]
    return counts


def _f1(counts: np.ndarray) -> np.ndarray:
    """(..., 3) true positives, false positives, misses to (...); 1 if all are 0."""
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    total = 2 * right + wrong + missed
    return np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0)


def _per_class(
    names: Sequence[str], at_best: np.ndarray, averages: Sequence[Score]
) -> list[dict[str, Any]]:
    counts = at_best.sum(axis=0)  # (classes, 3)
    table = []
    for number, name in enumerate(names):
        right, wrong, missed = counts[number].tolist()
        line: dict[str, Any] = {"label": name, "objects": int(right + missed)}
        line["ap50"] = averages[number].as_json()
        line["ap"] = averages[len(names) + number].as_json()
        line["precision"] = {"value": right / (right + wrong)} if right + wrong else None
        line["recall"] = {"value": right / (right + missed)} if right + missed else None
        line["f1"] = {"value": float(_f1(counts[number]))}
        table.append(line)
    return table


def _confusion(
    found: Sequence[np.ndarray],
    objects: Sequence[np.ndarray],
    names: Sequence[str],
    threshold: float,
) -> dict[str, dict[str, int]]:
    """Confusion counts: true class -> predicted class -> count.

    Boxes are matched regardless of class, closest pairs first, at an overlap of 0.5.
    """
    table: dict[str, dict[str, int]] = {}

    def count(truth: str, answer: str) -> None:
        line = table.setdefault(truth, {})
        line[answer] = line.get(answer, 0) + 1

    for made, truth in zip(found, objects, strict=True):
        made = made[made[:, 4] >= threshold]
        crowd = truth[:, 5] <= 0
        shared = overlaps(made[:, :4], truth[:, :4], crowd=crowd)
        left_found, left_true = set(range(len(made))), set(np.flatnonzero(~crowd).tolist())
        pairs = np.argwhere(shared >= OVERLAPS[0])
        for one, other in pairs[np.argsort(-shared[tuple(pairs.T)], kind="stable")].tolist():
            if one in left_found and crowd[other]:
                continue
            if one in left_found and other in left_true:
                left_found.remove(one)
                left_true.remove(other)
                count(names[int(truth[other, 4])], names[int(made[one, 5])])
        inside = shared[:, crowd].max(axis=1, initial=0) >= OVERLAPS[0]
        for one in sorted(left_found):
            if not inside[one]:
                count(NOTHING, names[int(made[one, 5])])
        for other in sorted(left_true):
            count(names[int(truth[other, 4])], MISSED)
    return table
