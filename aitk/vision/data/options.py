"""Options of reading, predicting and exporting. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.labels import MultiLabelReading
from aitk.core.contract.options import PredictOptions, option

#: Input of a segmentation model: the resized whole image, or tiles at native resolution.
VIEWS = ("whole", "tiles")
#: Classes ignored by default, if present.
USUALLY_IGNORED = ("void",)


@dataclass(frozen=True)
class ImageReading:
    """Location of the images. Images are stored unchanged unless ``largest_side`` is set, which
    then applies in training and in prediction alike."""

    path_column: str | None = option(
        None, "column of the image file in a table, by name or number from 1", locates=True
    )
    header: str = option(
        "auto",
        "whether the first line of a table is a header",
        choices=("auto", "yes", "no"),
        locates=True,
    )
    delimiter: str | None = option(None, "field delimiter: one character, or TAB", locates=True)
    encoding: str | None = option(None, "encoding of the text files, such as cp1252", locates=True)
    outside: bool = option(
        False, "allow tables and links to refer to files outside their folder", locates=True
    )
    every: int = option(10, "take every Nth frame of a video", minimum=1, locates=True)
    scenes: bool = option(False, "take only the first frame of each scene", locates=True)
    intensity_range: str | None = option(
        None, "grey levels mapped to black and white in images of over 8 bits: LO-HI as in 0-4095, "
        "or auto (minimum and maximum of each image); default: 0-65535",
    )  # fmt: skip
    largest_side: int | None = option(
        None, "shrink images whose longer side exceeds this many pixels, with boxes and masks",
        minimum=8, maximum=20_000,
    )  # fmt: skip


@dataclass(frozen=True)
class UnlabelledImages(ImageReading):
    """Images without annotations."""


@dataclass(frozen=True)
class ClassifyImages(MultiLabelReading, ImageReading):
    """Images with one label each (their folder or a table column), or with several labels."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are classes, not missing")
    classes: str | None = option(None, "file with one class per line; other labels are refused")


@dataclass(frozen=True)
class ScoreImages(ImageReading):
    """Images with a numeric target, from a table column."""

    label_column: str | None = option(None, "column of the number, by name or number from 1")


@dataclass(frozen=True)
class DetectImages(ImageReading):
    """Images with boxes: COCO, Pascal VOC, YOLO, or a table."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are classes, not missing")
    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of VOC or YOLO files; by default"
        " found next to the images",
    )
    classes: str | None = option(
        None, "file with one class per line: names for YOLO's numbers; others are refused"
    )
    ignore: list[str] = option(
        list(USUALLY_IGNORED), "classes whose boxes are omitted, separated by commas"
    )
    crowd: str = option(
        "ignore", "treat COCO's crowd regions and VOC's difficult objects as void (ignore: neither "
        "trained on nor scored) or as ordinary objects",
        choices=("ignore", "objects"),
    )  # fmt: skip
    max_boxes: int = option(1000, "refuse images with more boxes than this", minimum=1)


@dataclass(frozen=True)
class SegmentImages(ImageReading):
    """Images with masks: separate files, COCO polygons, or a table column."""

    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of YOLO polygons; by default found"
        " next to the images",
    )
    masks: str | None = option(
        None, "folder of mask files named like the images; by default found next to the images"
    )
    classes: str | None = option(
        None, "file with one class per line, in the order of their numbers; 'NAME R G B' for "
        "colour-coded masks",
    )  # fmt: skip
    ignore: list[str] = option(
        list(USUALLY_IGNORED),
        "classes that become void (neither trained on nor scored), separated by commas",
    )
    crowd: str = option(
        "objects", "treat COCO's crowd regions as objects of their class, or as void (ignore)",
        choices=("objects", "ignore"),
    )  # fmt: skip
    binary_masks: bool = option(
        False,
        "masks are black and white: 0 is the first class, all else the second (with soft edges: "
        "values above 127)",
    )


@dataclass(frozen=True)
class MultitaskImages(ImageReading):
    """Images with any combination of label, boxes and mask."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are classes, not missing")
    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of VOC or YOLO files; by default"
        " found next to the images",
    )
    masks: str | None = option(
        None, "folder of mask files named like the images; by default found next to the images"
    )
    classes: str | None = option(
        None, "file with one mask class per line, in the order of their numbers; 'NAME R G B' for "
        "colour-coded masks",
    )  # fmt: skip
    ignore: list[str] = option(
        list(USUALLY_IGNORED), "classes that become void in masks and whose boxes are omitted"
    )
    binary_masks: bool = option(
        False,
        "masks are black and white: 0 is the first class, all else the second (with soft edges: "
        "values above 127)",
    )
    crowd: str = option(
        "ignore", "treat COCO's crowd regions and VOC's difficult objects as void (ignore: neither "
        "trained on nor scored) or as ordinary objects",
        choices=("ignore", "objects"),
    )  # fmt: skip
    max_boxes: int = option(1000, "refuse images with more boxes than this", minimum=1)


@dataclass(frozen=True)
class DetectPredictOptions(PredictOptions):
    """Which boxes are reported."""

    min_score: float = option(
        0.3, "confidence threshold for reported boxes", minimum=0.0, maximum=1.0
    )
    max_boxes: int = option(100, "maximum number of boxes reported per image", minimum=1)


@dataclass(frozen=True)
class SegmentPredictOptions(PredictOptions):
    """How images are fed to the model."""

    view: str | None = option(
        None,
        "resize the whole image, or split it into overlapping tiles at native resolution;"
        " default: as in training",
        choices=VIEWS,
        scored=True,
    )
    mirror: bool = option(False, "average with the prediction for the flipped image", scored=True)


@dataclass(frozen=True)
class MaskedImagePredictOptions(PredictOptions):
    """Contents of a prediction."""

    filled: bool = option(True, "add the filled-in image to the prediction, as a PNG in base64")


@dataclass(frozen=True)
class ExportOptions:
    """How ``export`` writes annotations."""

    format: str = option("coco", "format of the annotation files", choices=("coco", "voc", "yolo"))
