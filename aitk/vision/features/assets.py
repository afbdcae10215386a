"""Assets of an image model: labels, input size, augmentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.label_task import read_label_values
from aitk.core.contract.options import resolve
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json
from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.models.settings import FITS

FILE = "image.json"
MAX_PIXELS = 2**26
#: The shape of ``image.json``.
SHAPE = {
    "size": [Size],
    "fit": str,
    "augment": dict,
    "labels": [str],
    "weights": [float],
    "thresholds?": [float],
    "parameters": {
        "label_sets?": {str: [str]},
        "category_ids?": {str: int},
        "anchors?": [[[float]]],
        "heads?": {str: dict},
        "smoothing?": float,
        "model?": str,
        "loss?": str,
        "view?": str,
        "patch?": Size,
        "shown?": Size,
        "mean?": float,
        "deviation?": float,
    },
}
_LABEL_SETS = "label_sets"


@dataclass(frozen=True)
class ImageAssets:
    """Labels, input size and augmentation of an image model.

    Attributes:
        size: height and width of the model input, in pixels.
        fit: how images of another aspect ratio are resized: stretch, letterbox or crop.
        augment: augmentation in training.
        labels: class names by number; empty if there are none.
        weights: weight of each class in the loss, or empty.
        thresholds: threshold per class for multi-label images; else empty.
        parameters: further JSON values of a task. ``label_sets`` has the class names of label,
            boxes and mask if each has its own.
    """

    size: tuple[int, int]
    fit: str = "stretch"
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``image.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, dataclasses.asdict(self))

    @property
    def mean(self) -> float:
        """Mean of the training scores, for regression models."""
        return float(self.parameters["mean"])

    @property
    def deviation(self) -> float:
        """Standard deviation of the training scores."""
        return float(self.parameters["deviation"])

    def labels_of(self, kind: str) -> tuple[str, ...]:
        """The class names of ``label``, ``boxes`` or ``mask``."""
        if _LABEL_SETS in self.parameters:
            return tuple(self.parameters[_LABEL_SETS].get(kind, ()))
        return self.labels

    def with_labels(self, kind: str, labels: tuple[str, ...]) -> ImageAssets:
        """The assets with other class names of one kind; new classes get weight 1 and
        threshold 0.5."""
        if _LABEL_SETS in self.parameters:
            sets = {**self.parameters[_LABEL_SETS], kind: list(labels)}
            return dataclasses.replace(self, parameters={**self.parameters, _LABEL_SETS: sets})
        added = len(labels) - len(self.labels)
        return dataclasses.replace(
            self,
            labels=labels,
            weights=(*self.weights, *[1.0] * added) if self.weights else (),
            thresholds=(*self.thresholds, *[0.5] * added) if self.thresholds else (),
        )


def load_image_assets(folder: Path) -> ImageAssets:
    """Read assets written by ``ImageAssets.save``.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise ArtifactError(f"{FILE} is missing", where=str(folder))
    try:
        return _checked(read_json(path, SHAPE))
    except KeyError as error:
        raise ArtifactError(f"lacks {error}", where=str(path)) from error
    except (DataError, UsageError) as error:
        raise ArtifactError(error.what, where=str(path)) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error


def _checked(values: Mapping[str, Any]) -> ImageAssets:
    unknown = set(values) - {each.name for each in dataclasses.fields(ImageAssets)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    height, width = (int(side) for side in values["size"])
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"images of {height} x {width} pixels")
    if values["fit"] not in FITS:
        raise ValueError(f"unknown fit {values['fit']!r}")
    _names(values["labels"])
    parameters = dict(values["parameters"])
    for names in parameters.get(_LABEL_SETS, {}).values():
        _names(names)
    return ImageAssets(
        size=(height, width),
        fit=values["fit"],
        augment=resolve(AugmentSettings, values["augment"]),
        parameters=parameters,
        **read_label_values(values, where=FILE),
    )


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("labels are not a list of names")
    if len(set(values)) != len(values):
        raise ValueError("a label is named twice")
    return tuple(values)
