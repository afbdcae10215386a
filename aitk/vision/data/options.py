"""Options of reading, predicting and exporting. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.labels import MultiLabelReading
from aitk.core.contract.options import PredictOptions, option

#: What a segmentation model sees: whole images resized to fit, or tiles in their own resolution.
VIEWS = ("whole", "tiles")
#: Classes that are ignored where nobody says, if there are any.
USUALLY_IGNORED = ("void",)


@dataclass(frozen=True)
class ImageReading:
    """Where the images are. They are stored as they were found, unless ``largest_side`` is
    set, which then holds in training and in prediction alike."""

    path_column: str | None = option(
        None, "column of the image's file in a table, by name or number from 1", locates=True
    )
    header: str = option(
        "auto",
        "does the first line of a table name the columns",
        choices=("auto", "yes", "no"),
        locates=True,
    )
    delimiter: str | None = option(
        None, "what separates fields: one character, or TAB", locates=True
    )
    encoding: str | None = option(
        None, "encoding of the text files, for instance cp1252", locates=True
    )
    outside: bool = option(
        False, "let tables and links lead to files outside of their folder", locates=True
    )
    every: int = option(10, "of a video take each Nth frame", minimum=1, locates=True)
    scenes: bool = option(False, "of a video take only the first frame of each scene", locates=True)
    intensity_range: str | None = option(
        None, "what is black and white in images of over 8 bits: LO-HI such as 0-4095, or auto "
        "(each from its darkest to its brightest); 0-65535 where nobody says",
    )  # fmt: skip
    largest_side: int | None = option(
        None, "shrink images whose longer side has more pixels, boxes and masks with them",
        minimum=8, maximum=20_000,
    )  # fmt: skip


@dataclass(frozen=True)
class UnlabelledImages(ImageReading):
    """Images of which nothing is known."""


@dataclass(frozen=True)
class ClassifyImages(MultiLabelReading, ImageReading):
    """Images with one label each, their folder or a column of a table; or any number of labels."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are names, not missing")
    classes: str | None = option(None, "file with a class a line: other labels are refused")


@dataclass(frozen=True)
class ScoreImages(ImageReading):
    """Images with a number each, in a column of a table."""

    label_column: str | None = option(None, "column of the number, by name or number from 1")


@dataclass(frozen=True)
class DetectImages(ImageReading):
    """Images with boxes: COCO, Pascal VOC, YOLO, or a table."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are names, not missing")
    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of VOC or YOLO files; found by itself"
        " beside the images",
    )
    classes: str | None = option(
        None, "file with a class a line: names YOLO's numbers, other classes are refused"
    )
    ignore: list[str] = option(
        list(USUALLY_IGNORED), "classes whose boxes are left out, separated by commas"
    )
    crowd: str = option(
        "ignore", "what COCO's crowd regions and VOC's difficult objects are: ignore them (neither "
        "learnt nor scored), or take them for objects like all others",
        choices=("ignore", "objects"),
    )  # fmt: skip
    max_boxes: int = option(1000, "refuse an image with more boxes than this", minimum=1)


@dataclass(frozen=True)
class SegmentImages(ImageReading):
    """Images with masks: files beside them, COCO polygons, or a column of a table."""

    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of YOLO polygons; found by itself"
        " beside the images",
    )
    masks: str | None = option(
        None, "folder of mask files with the names of the images; found by itself beside them"
    )
    classes: str | None = option(
        None, "file with a class a line, in the order of their numbers; 'NAME R G B' where masks "
        "are colour-coded",
    )  # fmt: skip
    ignore: list[str] = option(
        list(USUALLY_IGNORED),
        "classes that become void (neither learnt nor scored), separated by commas",
    )
    crowd: str = option(
        "objects", "what COCO's crowd regions are: objects of their class, or void (ignore)",
        choices=("objects", "ignore"),
    )  # fmt: skip
    binary_masks: bool = option(
        False,
        "masks are black and white: 0 is the first class, all else the second (where edges "
        "are soft, what is above 127)",
    )


@dataclass(frozen=True)
class MultitaskImages(ImageReading):
    """Images with any of a label, boxes and a mask."""

    label_column: str | None = option(
        None, "column of the label in a table, by name or number from 1"
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are names, not missing")
    annotations: str | None = option(
        None,
        "COCO, labelme, CVAT or Label Studio file, or folder of VOC or YOLO files; found by itself"
        " beside the images",
    )
    masks: str | None = option(
        None, "folder of mask files with the names of the images; found by itself beside them"
    )
    classes: str | None = option(
        None, "file with a class of the masks a line, in the order of their numbers; 'NAME R G B' "
        "where they are colour-coded",
    )  # fmt: skip
    ignore: list[str] = option(
        list(USUALLY_IGNORED), "classes that become void in masks, and whose boxes are left out"
    )
    binary_masks: bool = option(
        False,
        "masks are black and white: 0 is the first class, all else the second (where edges "
        "are soft, what is above 127)",
    )
    crowd: str = option(
        "ignore", "what COCO's crowd regions and VOC's difficult objects are: ignore them (neither "
        "learnt nor scored), or take them for objects like all others",
        choices=("ignore", "objects"),
    )  # fmt: skip
    max_boxes: int = option(1000, "refuse an image with more boxes than this", minimum=1)


@dataclass(frozen=True)
class DetectPredictOptions(PredictOptions):
    """Which boxes are reported."""

    min_score: float = option(
        0.3, "confidence threshold for reported boxes", minimum=0.0, maximum=1.0
    )
    max_boxes: int = option(100, "maximum number of boxes reported for an image", minimum=1)


@dataclass(frozen=True)
class SegmentPredictOptions(PredictOptions):
    """How an image is fed to the model."""

    view: str | None = option(
        None,
        "resize the whole image, or cut it into overlapping tiles of the model's size in its own"
        " resolution; by default as the model was trained",
        choices=VIEWS,
        scored=True,
    )
    mirror: bool = option(False, "average with the prediction for the mirrored image", scored=True)


@dataclass(frozen=True)
class MaskedImagePredictOptions(PredictOptions):
    """What a prediction holds."""

    filled: bool = option(True, "add the filled-in image to the prediction, as a PNG in base64")


@dataclass(frozen=True)
class ExportOptions:
    """How ``export`` writes annotations."""

    format: str = option("coco", "whose files to write", choices=("coco", "voc", "yolo"))
