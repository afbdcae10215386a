"""Images from TensorFlow Datasets: ``tfds:NAME`` or ``tfds:NAME/SPLIT``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.names import split_named
from aitk.core.io.tfds_source import fetch_tfds
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.formats.masks import number_classes
from aitk.vision.data.items import Boxes, Item
from aitk.vision.data.quality.box_checks import make_boxes

_MASKS = ("segmentation_mask", "mask", "segmentation_label", "label")


def read_tfds(
    source: str,
    *,
    label_column: str | None,
    annotation_kinds: Collection[str],
    labelled: bool,
    classes: ClassList,
) -> Iterator[Item]:
    """The images of a data set; image bytes stay unchanged.

    Args:
        label_column: the label feature, needed if there are several.

    Raises:
        DataError: the data set is unknown, or lacks images or the required annotations.
    """
    import tensorflow_datasets as tfds

    builder, splits = fetch_tfds(source)
    known = _Features(dict(builder.info.features.items()), source, label_column)
    kinds = known.available(annotation_kinds) if labelled else set()
    decoders = {known.image: tfds.decode.SkipDecoding()}
    for split in splits:
        data = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
        for number, example in enumerate(tfds.as_numpy(data), 1):
            yield Item(
                image=lambda data=example[known.image]: bytes(data),  # type: ignore[misc]
                name=f"{split}#{number - 1}",
                file=f"{source}[{split}]",
                line=number,
                split=split_named(split),
                label=known.label_of(example) if "label" in kinds else None,
                boxes=known.boxes_of(example) if "boxes" in kinds else None,
                mask=known.mask_of(example, classes) if "mask" in kinds else None,
            )


class _Features:
    """The features of a data set by role; "" if there is none."""

    def __init__(self, features: Mapping[str, Any], source: str, label_column: str | None):
        import tensorflow_datasets as tfds

        kinds = tfds.features
        self._source = source
        image_features = [
            name
            for name, feature in features.items()
            if isinstance(feature, kinds.Image) and not isinstance(feature, kinds.LabeledImage)
        ]
        self.mask = next((name for name in _MASKS if isinstance(features.get(name), kinds.Image)),
                         "")  # fmt: skip
        images = [name for name in image_features if name != self.mask]
        if not images:
            raise DataError("has no image feature", where=source)
        self.image = "image" if "image" in images else images[0]
        labels = [name for name in features if isinstance(features[name], kinds.ClassLabel)]
        self.label = label_column or ("label" if "label" in labels else next(iter(labels), ""))
        if label_column and label_column not in labels:
            reason = f"has no label {label_column!r}; its labels: {', '.join(labels) or 'none'}"
            raise DataError(reason, where=source)
        self._names = features[self.label].names if self.label else []
        self.objects, self._box, self._class = self._find_objects(features)
        if self.objects:
            self._classes = features[self.objects].feature[self._class].names

    def available(self, annotation_kinds: Collection[str]) -> set[str]:
        """The requested annotation kinds that the data set has."""
        known = {"label": self.label, "boxes": self.objects, "mask": self.mask}
        found = {kind for kind in annotation_kinds if known.get(kind)}
        if annotation_kinds and not found:
            raise DataError(f"has no {' or '.join(sorted(annotation_kinds))}", where=self._source)
        return found

    def label_of(self, example: Mapping[str, Any]) -> str | None:
        number = int(example[self.label])
        return self._names[number] if number >= 0 else None

    def boxes_of(self, example: Mapping[str, Any]) -> Any:
        objects = example[self.objects]

        def make(height: int, width: int) -> Boxes:
            # BBoxFeature: ymin, xmin, ymax, xmax relative to the image size
            corners = np.asarray(objects[self._box])[:, [1, 0, 3, 2]]
            corners = corners * [width, height, width, height]
            labels = [self._classes[int(number)] for number in objects[self._class]]
            return make_boxes(corners.tolist(), labels, objects.get("is_crowd"))

        return make

    def mask_of(self, example: Mapping[str, Any], classes: ClassList) -> Any:
        values = np.asarray(example[self.mask])[..., 0]

        def make(height: int, width: int) -> Any:
            if values.shape != (height, width):
                raise DataError(f"its mask has {values.shape[1]} x {values.shape[0]} pixels")
            return number_classes(values, classes)

        return make

    def _find_objects(self, features: Mapping[str, Any]) -> tuple[str, str, str]:
        """The feature that lists objects, and the names of its box and class features."""
        import tensorflow_datasets as tfds

        kinds = tfds.features
        for name, feature in features.items():
            inner = getattr(feature, "feature", None)
            if not isinstance(inner, Mapping | kinds.FeaturesDict):
                continue
            box = next((key for key in inner if isinstance(inner[key], kinds.BBoxFeature)), None)
            label = next((key for key in inner if isinstance(inner[key], kinds.ClassLabel)), None)
            if box and label:
                return name, box, label
        return "", "", ""
