"""Findings of the inspector in images, boxes and masks."""

import cv2
import numpy as np
import pytest

from aitk.core.contract.rows import Row
from aitk.core.io.images import decode_image, encode_jpeg, encode_png
from aitk.vision.data.formats.masks import encode_mask
from aitk.vision.data.items import ClassMask
from aitk.vision.data.options import ImageReading
from aitk.vision.data.quality.inspection import ImageInspector


def image(seed, size=48):
    noise = np.random.default_rng(seed).normal(0, 1, (size, size, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), size / 10)
    return cv2.normalize(soft, None, 20, 230, cv2.NORM_MINMAX).astype(np.uint8)


def inspect(*rows, annotation_kinds=("label",)):
    """Rows are pairs of a split and fields."""
    inspector = ImageInspector(ImageReading(), annotation_kinds=frozenset(annotation_kinds))
    for line, (split, fields) in enumerate(rows, 1):
        height, width = decode_image(fields["image"], "").shape[:2]
        known = {"name": f"{line}.png", "height": height, "width": width}
        inspector.add(Row(known | fields, "rows.csv", line), split)
    found = {finding.check: finding for finding in inspector.findings()}
    return found, inspector.summary()


def row(seed, split="train", **fields):
    return split, {"image": encode_png(image(seed)), "label": "a"} | fields


def test_sizes_formats_and_labels_are_counted():
    jpeg = encode_jpeg(image(2, 32))
    found, summary = inspect(row(1), row(2, image=jpeg, label="b"), row(3, "test", label="c"))
    assert summary["formats"] == {"PNG": 2, "JPEG": 1}
    assert summary["sizes"] == {"48 x 48": 2, "32 x 32": 1}
    assert summary["labels"] == ["a", "b"]
    assert summary["label_counts"] == {"train": {"a": 1, "b": 1}, "test": {"c": 1}}
    assert found["unseen labels"].grade == "error"


def test_files_that_repeat():
    found, _ = inspect(row(1), row(1), row(1, "test"), row(2, label="b"), row(3, label="b"))
    assert found["duplicates"].details["examples"] == ["2.png"]
    assert found["duplicates across splits"].details["examples"] == ["3.png"]
    assert found["conflicting labels"].grade == "ok"
    found, _ = inspect(row(1), row(1, label="b"))
    assert found["conflicting labels"].details["examples"] == ["1.png", "2.png"]


def test_near_duplicates_are_named():
    near = encode_jpeg(image(1), quality=70)
    found, _ = inspect(row(1), row(2, label="b"), row(9, "test", image=near))
    finding = found["near-duplicates across splits"]
    assert finding.grade == "warning"
    assert finding.details["examples"] == ["1.png (train) and 3.png (test)"]
    assert found["duplicates across splits"].details["rows"] == 0


def test_images_of_nothing():
    black = encode_png(np.zeros((20, 20, 3), np.uint8))
    found, _ = inspect(row(1, image=black), row(2, label="b"), row(3, "test", image=black))
    assert found["blank images"].details["examples"] == ["1.png", "3.png"]
    assert found["near-duplicates across splits"].details["rows"] == 0


def boxes(*corners, labels=None):
    values = np.array(corners, np.float32).reshape(-1, 4)
    names = labels or ["nut"] * len(values)
    return {"boxes": values, "box_labels": names, "crowd": [0] * len(values)}


def test_boxes_are_measured():
    rows = [
        row(1, **boxes([0, 0, 24, 24], [0, 0, 24, 24], [0, 0, 4, 20])),
        row(2, **boxes()),
        row(3, "test", **boxes([0, 0, 12, 12], labels=["bolt"])),
    ]
    found, summary = inspect(*rows, annotation_kinds=("boxes",))
    assert found["small boxes"].details["rows"] == 1
    assert found["repeated boxes"].details["rows"] == 1
    assert found["images without boxes"].details["rows"] == 1
    assert found["unseen labels"].grade == "error"
    assert summary["labels"] == ["nut"]
    assert summary["label_counts"] == {"train": {"nut": 3}, "test": {"bolt": 1}}
    assert summary["measured"]["boxes_of_an_image"]["mean"] == pytest.approx(4 / 3, abs=1e-3)
    assert summary["measured"]["box_size_share_of_image"]["most"] == 0.5


def test_no_box_at_all_is_an_error():
    found, _ = inspect(row(1, **boxes()), annotation_kinds=("boxes",))
    assert found["boxes"].grade == "error"


def masked(seed, numbers, split="train", names=("road", "car", "tree")):
    mask = np.full((48, 48), 255, np.uint8)
    mask[: len(numbers)] = np.array(numbers, np.uint8)[:, None]
    return row(seed, split, mask=encode_mask(ClassMask(mask, names)))


def test_pixels_are_counted():
    found, summary = inspect(
        masked(1, [0] * 36),
        masked(2, [0, 1] * 6),
        masked(3, [0, 2], "test"),
        annotation_kinds=("mask",),
    )
    assert summary["labels"] == ["road", "car", "tree"]
    assert summary["label_counts"]["train"] == {"road": 42 * 48, "car": 6 * 48}
    assert summary["mask_images"] == {"road": 3, "car": 1, "tree": 1}
    assert summary["void_share"] == pytest.approx((12 + 36 + 46) / (3 * 48), abs=1e-6)
    assert found["void"].details["rows"] == 2
    assert found["mask classes"].details["missing"] == ["tree"]


def test_masks_without_names_are_called_by_number():
    found, summary = inspect(masked(1, [0, 3], names=()), annotation_kinds=("mask",))
    assert summary["labels"] == ["0", "1", "2", "3"]
    assert "mask names" not in found
    found, _ = inspect(masked(1, [0], names=()), masked(2, [0]), annotation_kinds=("mask",))
    assert found["mask names"].grade == "error"


def test_rows_with_any_subset():
    none = {"label": "", **boxes(), "boxes_known": 0, "mask": b""}
    rows = [
        row(1, **none | {"label": "a"}),
        row(2, **none | {"label": "b"}),
        row(3, **none | boxes([0, 0, 9, 9]) | {"boxes_known": 1}),
    ]
    found, summary = inspect(*rows, annotation_kinds=("label", "boxes", "mask"))
    assert summary["label_sets"] == {"label": ["a", "b"], "boxes": ["nut"], "mask": []}
    assert summary["labels"] == ["a", "b"]
    assert summary["label_set_counts"]["boxes"] == {"train": {"nut": 1}}
    assert found["images without boxes"].details["rows"] == 0


def test_people_can_look_at_them():
    rows = [row(seed, label="ab"[seed > 20]) for seed in range(22)] + [row(30, "test")]
    _, summary = inspect(*rows)
    captions = [each["caption"] for each in summary["pictures"]]
    assert captions == [
        "train: the first images",
        "test: the first images",
        "augmented with the default settings",
    ]
    for each in summary["pictures"]:
        assert decode_image(each["png"], "").shape[1] > 200


def test_rows_without_annotations():
    found, summary = inspect(row(1), row(2, "test"), annotation_kinds=())
    assert "labels" not in summary
    assert all(finding.grade == "ok" for finding in found.values())


def test_a_class_of_crowd_regions_alone_is_warned_of():
    fields = boxes([0, 0, 20, 20], [10, 10, 30, 30], labels=["nut", "bolt"]) | {"crowd": [0, 1]}
    found, _ = inspect(*(row(seed, **fields) for seed in range(6)), annotation_kinds=("boxes",))
    assert found["crowd regions"].grade == "warning"
    assert "most of bolt" in found["crowd regions"].message
    assert "--crowd objects" in found["crowd regions"].message
    assert found["rare classes"].details["rows"] == {"bolt": 0}


def test_a_few_difficult_objects_are_no_fault():
    clean = [row(seed, **boxes([0, 0, 20, 20], labels=["nut"])) for seed in range(9)]
    hard = row(9, **boxes([0, 0, 20, 20], labels=["nut"]) | {"crowd": [1]})
    found, _ = inspect(*clean, hard, annotation_kinds=("boxes",))
    assert found["crowd regions"].grade == "ok"
    assert found["crowd regions"].details["boxes"] == 1


def test_boxes_in_shares_of_the_sides_are_an_error():
    found, _ = inspect(row(1, **boxes([0.1, 0.1, 0.5, 0.4])), annotation_kinds=("boxes",))
    assert found["box units"].grade == "error"
    found, _ = inspect(row(1, **boxes([0.1, 0.1, 5, 4])), annotation_kinds=("boxes",))
    assert "box units" not in found
