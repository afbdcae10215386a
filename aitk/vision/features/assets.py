"""What a picture model needs besides its weights: labels, size, how pictures vary in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Size, read_json
from aitk.vision.features.augment import AugmentSettings
from aitk.vision.tasks.settings import FITS

FILE = "picture.json"
MOST_PIXELS = 2**26
#: The shape of ``picture.json``.
SHAPE = {
    "size": [Size],
    "fit": str,
    "augment": dict,
    "labels": [str],
    "weights": [float],
    "extras": {
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
    },
}
_LABEL_SETS = "label_sets"


@dataclass(frozen=True)
class PictureAssets:
    """Labels, size and augmentation of a picture model.

    Attributes:
        size: height and width of the pictures that the model reads, in pixels.
        fit: how pictures of other proportions are fitted: stretch, letterbox or crop.
        augment: how pictures vary in training.
        labels: class names in the order of their numbers; empty where there are none.
        weights: weight of each class in the loss, or empty.
        extras: what a task keeps beside, JSON values. ``label_sets`` has the class names of
            label, boxes and mask where each has its own.
    """

    size: tuple[int, int]
    fit: str = "stretch"
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``picture.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, dataclasses.asdict(self))

    def labels_of(self, kind: str) -> tuple[str, ...]:
        """The class names of ``label``, ``boxes`` or ``mask``."""
        if _LABEL_SETS in self.extras:
            return tuple(self.extras[_LABEL_SETS].get(kind, ()))
        return self.labels

    def with_labels(self, kind: str, labels: tuple[str, ...]) -> PictureAssets:
        """The same with other class names of one kind; new classes weigh 1."""
        if _LABEL_SETS in self.extras:
            sets = {**self.extras[_LABEL_SETS], kind: list(labels)}
            return dataclasses.replace(self, extras={**self.extras, _LABEL_SETS: sets})
        weights = self.weights
        if weights:
            weights = (*weights, *[1.0] * (len(labels) - len(weights)))
        return dataclasses.replace(self, labels=labels, weights=weights)


def load_picture_assets(folder: Path) -> PictureAssets:
    """Read what ``PictureAssets.save`` wrote.

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


def _checked(values: Mapping[str, Any]) -> PictureAssets:
    unknown = set(values) - {each.name for each in dataclasses.fields(PictureAssets)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    height, width = (int(side) for side in values["size"])
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise ValueError(f"pictures of {height} x {width} pixels")
    if values["fit"] not in FITS:
        raise ValueError(f"unknown fit {values['fit']!r}")
    labels = _names(values["labels"])
    weights = tuple(float(weight) for weight in values["weights"])
    if weights and len(weights) != len(labels):
        raise ValueError(f"{len(weights)} weights of {len(labels)} labels")
    extras = dict(values["extras"])
    for names in extras.get(_LABEL_SETS, {}).values():
        _names(names)
    return PictureAssets(
        size=(height, width),
        fit=values["fit"],
        augment=resolve(AugmentSettings, values["augment"]),
        labels=labels,
        weights=weights,
        extras=extras,
    )


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("labels are not a list of names")
    if len(set(values)) != len(values):
        raise ValueError("a label is named twice")
    return tuple(values)
