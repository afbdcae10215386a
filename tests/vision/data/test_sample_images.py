"""The sample images: small, whole, and what their script says."""

import functools
from collections import Counter

import numpy as np
import pytest

from aitk.core.artifacts.samples import sample_folder
from aitk.core.contract.rows import Row
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.data.options import (
    ClassifyImages,
    DetectImages,
    MultitaskImages,
    ScoreImages,
    SegmentImages,
    UnlabelledImages,
)
from aitk.vision.data.reading import read_images

ALL = ("label", "boxes", "mask")
SETS = {
    "surfaces": (ClassifyImages, ("label",)),
    "parts": (DetectImages, ("boxes",)),
    "coatings": (SegmentImages, ("mask",)),
    "castings": (MultitaskImages, ALL),
    "steel": (UnlabelledImages, ()),
    "wear": (functools.partial(ScoreImages, label_column="damaged_percent"), ("score",)),
}


def read(name, *, labelled=True):
    reading, annotation_kinds = SETS[name.partition("_")[0]]
    source = str(sample_folder() / f"{name}.zip")
    found = list(
        read_images(
            [source],
            reading(),
            annotation_kinds=frozenset(annotation_kinds),
            labelled=labelled,
            note=print,
        )
    )
    assert [item for item in found if not isinstance(item, Row)] == []
    return found


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("surfaces", 240), ("surfaces_update", 48), ("parts", 200), ("parts_update", 30),
        ("coatings", 160), ("coatings_update", 24), ("castings", 160), ("castings_update", 24),
        ("steel", 240), ("wear", 160), ("wear_update", 24),
    ],
)  # fmt: skip
def test_every_row_is_read(name, rows):
    assert len(read(name)) == rows


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("surfaces_new", 24),
        ("parts_new", 16),
        ("coatings_new", 16),
        ("castings_new", 16),
        ("wear_new", 16),
    ],
)  # fmt: skip
def test_rows_to_predict_have_no_label(name, rows):
    found = read(name, labelled=False)
    assert len(found) == rows
    assert set(found[0].record) == {"image"}


def test_classes_are_even_and_one_comes_later():
    labels = Counter(row.fields["label"] for row in read("surfaces"))
    assert labels == {"ok": 80, "scratch": 80, "dent": 80}
    assert "stain" in {row.fields["label"] for row in read("surfaces_update")}
    assert "clip" in {label for row in read("parts_update") for label in row.fields["box_labels"]}


def test_boxes_lie_around_bright_parts():
    from aitk.core.io.images import decode_checked

    for row in read("parts")[:20]:
        grey = decode_checked(row.fields["image"]).mean(axis=2)
        for left, top, right, bottom in np.rint(row.fields["boxes"]).astype(int):
            assert grey[top:bottom, left:right].max() > grey.mean() + 30


def test_masks_show_all_classes():
    masks = [row.fields["mask"] for row in read("coatings")]
    assert {mask_names(mask) for mask in masks} == {("background", "scratch", "stain")}
    assert {value for mask in masks for value in np.unique(decode_mask(mask))} == {0, 1, 2}


def test_castings_carry_any_subset():
    found = Counter(
        (bool(row.fields["label"]), bool(row.fields["boxes_known"]), bool(row.fields["mask"]))
        for row in read("castings")
    )
    assert len(found) == 7 and (False, False, False) not in found


def test_all_of_it_is_small():
    files = [path for path in sample_folder().glob("*.zip") if path.stem.split("_")[0] in SETS]
    assert len(files) == 16
    assert sum(path.stat().st_size for path in files) < 1_700_000
