"""The class of every pixel of an image. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.vision.edge.pictures import interpolate, places_of, plan_fit

VOID = 255  # where the model saw nothing


def decode(
    outputs: np.ndarray,
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    tables: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What ``aitk vision predict`` gives for the image: the share of each class, the mean
    probability, and each class's pixels as COCO's run lengths.

    Args:
        outputs: (1, h, w, classes) logits.
    """
    mask, certainty = label_pixels(outputs[0], fields["image"].shape[:2], settings)
    labels = settings["labels"]
    seen = mask != VOID
    counts = np.bincount(mask[seen], minlength=len(labels))
    total = max(1, int(counts.sum()))
    order = [int(at) for at in np.argsort(-counts, kind="stable") if counts[at]]
    return {
        "classes": {labels[at]: round(float(counts[at] / total), 6) for at in order},
        "probability": round(float(certainty[seen].mean()) if seen.any() else 0.0, 6),
        "mask": [{"label": labels[at], **run_lengths(mask == at)} for at in order],
    }


def label_pixels(
    logits: np.ndarray, shape: tuple[int, int], settings: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class of each of the image's pixels, (height, width) uint8, and its
    probability."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores = raised / raised.sum(axis=-1, keepdims=True)
    fit = plan_fit(shape, tuple(settings["size"]), settings["fit"])
    inside, shown = places_of(fit, tuple(settings["size"]))
    rows, columns = (part.stop - part.start for part in shown)
    mask = np.full(shape, VOID, np.uint8)
    certainty = np.zeros(shape, np.float32)
    for number in range(scores.shape[-1]):
        own = np.full(shape, -1, np.float32)
        own[shown] = interpolate(scores[inside][..., number], (rows, columns))
        better = own > certainty
        mask[better] = number
        certainty[better] = own[better]
    return mask, certainty


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask (height, width) as COCO packs it: column by column, zeros first."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    text: list[str] = []
    for at, run in enumerate(runs):
        value = run - runs[at - 2] if at > 2 else run
        more = True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return {"size": list(mask.shape), "counts": "".join(text)}
