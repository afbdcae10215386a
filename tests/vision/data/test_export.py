"""Annotations written for other tools, and read again."""

import json
import struct

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.io.images import decode_image
from aitk.vision.data.export import export_annotations, export_data
from aitk.vision.data.formats.masks import decode_mask, encode_mask, mask_names
from aitk.vision.data.items import ClassMask
from aitk.vision.data.options import DetectImages, MultitaskImages, SegmentImages
from aitk.vision.data.reading import read_images


@pytest.fixture
def rows(painted):
    """Split -> rows with boxes."""

    def row(name, corners, labels, suffix=".png"):
        return {
            "image": painted([len(name) * 9] * 3, suffix=suffix),
            "name": name,
            "height": 20,
            "width": 30,
            "boxes": np.array(corners, np.float32).reshape(-1, 4),
            "box_labels": labels,
            "crowd": [0] * len(labels),
        }

    return {
        "train": [
            row("a/1.png", [[0, 0, 30, 20], [1.5, 2.25, 9, 9]], ["nut", "bolt"]),
            row("b/1.png", [], []),
        ],
        "test": [row("zip#7", [[3, 4, 5, 6]], ["bolt"], ".jpg")],
    }


def export(splits, folder, format, *, boxes=("bolt", "nut"), masks=()):
    folder.mkdir()
    return export_annotations(splits, folder, format=format, box_labels=boxes, mask_labels=masks)


def read(folder, reading, annotation_kinds):
    return list(
        read_images(
            [str(folder)],
            reading,
            annotation_kinds=annotation_kinds,
            labelled=True,
            note=print,
        )
    )


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_boxes_come_back(rows, tmp_path, format):
    written = export(rows, tmp_path / "out", format)
    assert (written["images"], written["boxes"]) == (3, 3)
    found = {row.fields["name"].rpartition("/")[2]: row for row in
             read(tmp_path / "out", DetectImages(), {"boxes"})}  # fmt: skip
    assert set(found) == {"1.png", "1_2.png", "zip_7.jpg"}
    for name, split, before in (
        ("1.png", "train", rows["train"][0]),
        ("1_2.png", "train", rows["train"][1]),
        ("zip_7.jpg", "test", rows["test"][0]),
    ):
        assert found[name].split == split
        assert found[name].fields["image"] == before["image"]
        np.testing.assert_allclose(found[name].fields["boxes"], before["boxes"], atol=1e-4)
        assert found[name].fields["box_labels"] == before["box_labels"]


def test_crowds_are_kept_where_there_is_a_word_for_them(rows, tmp_path):
    rows["test"][0]["crowd"] = [1]
    for format in ("coco", "voc"):
        export(rows, tmp_path / format, format)
        found = read(tmp_path / format, DetectImages(), {"boxes"})
        assert [row.fields["crowd"] for row in found if row.split == "test"] == [[1]]
    assert export(rows, tmp_path / "yolo", "yolo")["crowds_left_out"] == 1


def masked(painted, numbers, names):
    mask = np.zeros((20, 30), np.uint8)
    mask[:10, :15], mask[15:] = numbers
    return {
        "image": painted(), "name": "1.png", "height": 20, "width": 30,
        "mask": encode_mask(ClassMask(mask, names)),
    }  # fmt: skip


def test_masks_come_back_from_voc_whole(painted, tmp_path):
    row = masked(painted, (2, 255), ("background", "scratch", "stain"))
    labels = ("background", "scratch", "stain")
    export({"validation": [row]}, tmp_path / "voc", "voc", boxes=(), masks=labels)
    (found,) = read(tmp_path / "voc", SegmentImages(), {"mask"})
    assert found.split == "validation"
    assert found.fields["mask"] == row["mask"]


def test_masks_come_back_from_coco_but_for_void(painted, tmp_path):
    row = masked(painted, (1, 255), ("background", "stain"))
    labels = ("background", "scratch", "stain")
    written = export({"train": [row]}, tmp_path / "coco", "coco", boxes=(), masks=labels)
    assert written["void_pixels_left_out"] == 5 * 30
    (found,) = read(tmp_path / "coco", SegmentImages(), {"mask"})
    assert mask_names(found.fields["mask"]) == labels
    mask = decode_mask(found.fields["mask"])
    assert (mask == 2).sum() == 10 * 15 and (mask == 0).sum() == 20 * 30 - 10 * 15


def test_pycocotools_reads_it(rows, painted, tmp_path):
    from pycocotools import coco

    rows["train"][0]["mask"] = masked(painted, (1, 0), ("background", "stain"))["mask"]
    export(rows, tmp_path / "out", "coco", masks=("background", "stain"))
    found = coco.COCO(str(tmp_path / "out/annotations/train.json"))
    region = found.loadAnns(found.getAnnIds(catIds=found.getCatIds(["stain"])))[0]
    assert found.annToMask(region).sum() == 10 * 15
    assert region["bbox"] == [0, 0, 15, 10]


def test_rows_without_boxes_get_no_file(rows, painted, tmp_path):
    rows["train"][1] |= {"boxes_known": 0, "label": "x", "mask": b""}
    export(rows, tmp_path / "out", "yolo")
    assert not (tmp_path / "out/labels/train/1_2.txt").exists()
    found = read(tmp_path / "out", MultitaskImages(), {"label", "boxes", "mask"})
    assert len([row for row in found if hasattr(row, "fields")]) == 2


def test_an_image_on_its_side_is_written_upright(rows, tmp_path):
    image = cv2.imencode(".jpg", np.full((30, 20, 3), 90, np.uint8))[1].tobytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)  # orientation 6: turn right
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    rows["test"][0]["image"] = image[:2] + segment + image[2:]
    export(rows, tmp_path / "out", "coco")
    stored = cv2.imread(str(tmp_path / "out/images/test/zip_7.jpg"), cv2.IMREAD_IGNORE_ORIENTATION)
    assert stored.shape[:2] == (20, 30)


def test_what_cannot_be_exported_is_reported(rows, painted, tmp_path):
    with pytest.raises(DataError, match="neither boxes nor masks"):
        export(rows, tmp_path / "a", "coco", boxes=())
    row = masked(painted, (1, 0), ())
    with pytest.raises(UsageError, match="hold no masks"):
        export({"train": [row]}, tmp_path / "b", "yolo", boxes=(), masks=("0", "1"))


def test_prepared_data_is_exported_whole(rows, tmp_path):
    import tensorflow_datasets as tfds

    from aitk.core.artifacts.data import DataWriter
    from aitk.core.contract.progress import Silent

    data = tmp_path / "data"
    data.mkdir()
    names = tfds.features.ClassLabel(names=["bolt", "nut"])
    features = {
        "image": tfds.features.Tensor(shape=(), dtype=np.object_),
        "name": tfds.features.Text(),
        "height": np.int32,
        "width": np.int32,
        "boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        "box_labels": tfds.features.Sequence(names),
        "crowd": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    }
    writer = DataWriter(data, features, description="boxes")
    for split, each in rows.items():
        writer.write(split, each)
    writer.close()
    manifest = {
        "task": "vision.detect", "reading": {}, "fingerprint": "x",
        "summary": {"labels": ["bolt", "nut"]}, "rows": {"train": 2, "test": 1},
    }  # fmt: skip
    (data / "dataset.json").write_text(json.dumps(manifest))
    facts = export_data(data, tmp_path / "out", format="voc", reporter=Silent())
    assert (facts["images"], facts["boxes"]) == (3, 3)
    found = read(tmp_path / "out", DetectImages(), {"boxes"})
    assert sorted(len(row.fields["boxes"]) for row in found) == [0, 1, 2]
    assert decode_image(found[0].fields["image"], "").shape == (20, 30, 3)
    with pytest.raises(UsageError, match="exists already"):
        export_data(data, tmp_path / "out", format="voc", reporter=Silent())
