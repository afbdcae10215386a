"""Contact sheets of prepared rows, for visual inspection before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.io.images import decode_checked, encode_png
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.features.geometry import fit_image, fit_mask
from aitk.vision.features.sample import Sample

#: Number of images shown per split.
SHOWN = {"train": 12, "validation": 6, "test": 6}
#: Number of images shown with augmentation, and variants of each.
VARIED, VARIANTS = 4, 3
_COLUMNS, _CELL = 4, 200


@dataclass(frozen=True, eq=False)
class _Thumbnail:
    """A small image with its annotations, classes by name."""

    image: np.ndarray
    fields: Mapping[str, Any]
    boxes: np.ndarray
    mask: np.ndarray | None
    mask_names: tuple[str, ...]


class Sheets:
    """Stores small copies of a few rows, and draws them.

    Args:
        annotation_kinds: kinds in the rows: ``label``, ``boxes``, ``mask``.
    """

    def __init__(self, *, annotation_kinds: Collection[str]):
        self._annotation_kinds = annotation_kinds
        self._kept: dict[str, list[_Thumbnail]] = {split: [] for split in SPLITS}

    def add(self, fields: Mapping[str, Any], split: str) -> None:
        """Store a row if there is room: the first rows, about equally many per label."""
        kept = self._kept[split]
        if len(kept) < SHOWN[split]:
            kept.append(self._thumbnail(fields))
            return
        # A row of a less frequent label replaces the last image of the most frequent one.
        shown = Counter(each.fields.get("label") for each in kept)
        crowded, most = shown.most_common(1)[0]
        if shown[fields.get("label")] + 1 < most:
            kept.remove([each for each in kept if each.fields.get("label") == crowded][-1])
            kept.append(self._thumbnail(fields))

    def draw(self, labels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """The contact sheets, {"caption": str, "png": bytes} each.

        Args:
            labels: the classes of each kind of annotation.
        """
        from aitk.vision.explain.drawing import contact_sheet

        drawn = []
        for split, kept in self._kept.items():
            if not kept:
                continue
            samples = [self._sample(each, labels) for each in kept]
            captions = None
            if "score" in self._annotation_kinds:
                captions = [f"{each.fields['score']:g}" for each in kept]
            sheet = contact_sheet(
                samples, names=labels, captions=captions, columns=_COLUMNS, cell=_CELL
            )
            drawn.append({"caption": f"{split}: the first images", "png": encode_png(sheet)})
        if kept := self._kept["train"][:VARIED]:
            drawn.append(self._varied(kept, labels))
        return drawn

    def _varied(
        self, kept: Sequence[_Thumbnail], labels: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """Images with default training augmentation, one row of variants per image."""
        from aitk.vision.explain.drawing import contact_sheet
        from aitk.vision.features.augment import augment
        from aitk.vision.features.augment_settings import augmentation_settings
        from aitk.vision.models.settings import ImageSettings

        originals = [self._sample(each, labels, square=True) for each in kept]
        rng = np.random.default_rng(0)
        settings = augmentation_settings(ImageSettings())
        rounds = [augment(originals, settings, rng) for _ in range(VARIANTS)]
        samples, captions = [], []
        for at, original in enumerate(originals):
            samples += [original, *(variants[at] for variants in rounds)]
            captions += ["original", *["augmented"] * VARIANTS]
        sheet = contact_sheet(
            samples, names=labels, captions=captions, columns=VARIANTS + 1, cell=_CELL
        )
        caption = "augmented with the default settings"
        return {"caption": caption, "png": encode_png(sheet)}

    def _thumbnail(self, fields: Mapping[str, Any]) -> _Thumbnail:
        image = decode_checked(fields["image"])
        height, width = image.shape[:2]
        scale = min(1.0, _CELL / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        small, fit = fit_image(image, size, how="stretch")
        boxes = np.zeros((0, 4), np.float32)
        if "boxes" in self._annotation_kinds:
            boxes = fit.boxes_in(fields["boxes"])
        mask: np.ndarray | None = None
        names: tuple[str, ...] = ()
        if "mask" in self._annotation_kinds and fields["mask"]:
            mask = fit_mask(decode_mask(fields["mask"]), fit, size)
            names = mask_names(fields["mask"])
        kept = ("label", "score", "box_labels", "crowd", "boxes_known")
        known = {name: fields[name] for name in kept if name in fields}
        return _Thumbnail(small.copy(), known, boxes, mask, names)

    def _sample(
        self, kept: _Thumbnail, labels: Mapping[str, Sequence[str]], *, square: bool = False
    ) -> Sample:
        """A thumbnail with classes by number; classes absent from training rows are omitted."""
        image, boxes, mask = kept.image, kept.boxes, kept.mask
        if square:
            size = (_CELL, _CELL)
            image, fit = fit_image(image, size, how="letterbox")
            boxes = fit.boxes_in(boxes)
            mask = None if mask is None else fit_mask(mask, fit, size)
        if mask is not None and kept.mask_names:
            table = np.full(256, 255, np.uint8)
            for number, name in enumerate(kept.mask_names):
                table[number] = labels["mask"].index(name)
            mask = table[mask]
        numbers = {name: number for number, name in enumerate(labels.get("boxes", ()))}
        box_labels = kept.fields.get("box_labels", [])
        known = np.array([name in numbers for name in box_labels], bool)
        classes = [numbers[name] for name in box_labels if name in numbers]
        own = kept.fields.get("label")
        has_label = own in labels.get("label", ())
        return Sample(
            image=image,
            label=labels["label"].index(own) if has_label else None,
            boxes=boxes[known] if len(boxes) else boxes,
            classes=np.array(classes, np.int32),
            crowd=np.array(kept.fields.get("crowd", []), np.int32)[known],
            boxes_known=bool(kept.fields.get("boxes_known", 1)),
            mask=mask,
        )
