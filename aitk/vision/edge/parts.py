"""What the bundles of image models hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aitk.core.edge.parts import BundleParts, cannot_bundle, check_reading
from aitk.vision.data.options import DetectPredictOptions
from aitk.vision.features.assets import ImageAssets

#: Reading options that concern labels, annotations and images of over 8 bits alone.
KEPT = (
    *("label_column", "keep_na", "classes", "annotations", "masks", "ignore", "crowd", "max_boxes"),
    *("label_separator", "label_columns", "multi_label", "binary_masks", "intensity_range"),
)


def image_parts(
    assets: ImageAssets,
    reading: Any,
    *,
    decoder: str,
    settings: Mapping[str, Any],
) -> BundleParts:
    """The script and settings of an image model.

    Args:
        decoder: the module that decodes its outputs.
        settings: what that module reads besides.

    Raises:
        UsageError: the images were changed as they were read.
    """
    check_reading(reading, KEPT)
    labels = ("aitk.core.edge.labels",) if decoder.endswith(".classify") else ()
    return BundleParts(
        modules=("aitk.vision.edge.pictures", *labels, decoder),
        settings={
            "labels": list(assets.labels),
            "thresholds": list(assets.thresholds),
            "size": list(assets.size),
            "fit": assets.fit,
            **settings,
        },
        reads="images of 8 bits: `.npy` arrays (height, width, 3), `.ppm` and `.bmp` files, with"
        " Pillow also `.jpg`, `.png` and others, or folders of them",
        example="image.ppm",
        optional={"pillow": "read JPEG, PNG and other images"},
    )


def detect_parts(assets: ImageAssets, reading: Any) -> BundleParts:
    """The same of a detector, with the default limits of ``predict``."""
    ids = assets.parameters.get("category_ids", {})
    numbered = all(label in ids for label in assets.labels)
    limits = DetectPredictOptions()
    settings = {
        "numbers": [
            ids[label] if numbered else place for place, label in enumerate(assets.labels, 1)
        ],
        "min_score": limits.min_score,
        "max_boxes": limits.max_boxes,
    }
    return image_parts(assets, reading, decoder="aitk.vision.edge.detect", settings=settings)


def segment_parts(assets: ImageAssets, reading: Any) -> BundleParts:
    """The same for a segmentation model of whole images."""
    if assets.parameters["view"] == "tiles":
        raise cannot_bundle(
            "a model that reads images in tiles", hint="Train with --set view=whole"
        )
    return image_parts(assets, reading, decoder="aitk.vision.edge.segment", settings={})
