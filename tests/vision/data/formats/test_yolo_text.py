"""YOLO's text files: boxes, polygons, names of classes."""

import unicodedata
from urllib.parse import unquote

import numpy as np
import pytest

from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.data.options import DetectImages, SegmentImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import ORPHAN_FILES, UNKNOWN_IGNORED, ReadingCounts


def read(path, reading=None, annotation_kinds=frozenset(("boxes",))):
    reading = reading or DetectImages()
    return list(
        read_images(
            [str(path)],
            reading,
            annotation_kinds=annotation_kinds,
            labelled=True,
            note=print,
        )
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "train: images/train\nnames: [nut, bolt]\n"),
        ("data.yaml", "names:\n  0: nut\n  1: bolt\n"),
        ("classes.txt", "nut\nbolt\n"),
    ],
)
def test_boxes_are_shares_of_the_sides(save, tmp_path, name, content):
    save(name, content)
    save("images/val/1.jpg"), save("labels/val/1.txt", "1 0.5 0.5 0.2 0.5\n\n")
    save("images/train/1.jpg"), save("labels/train/1.txt", "")
    train, validation = read(tmp_path)
    assert (train.split, len(train.fields["boxes"])) == ("train", 0)
    np.testing.assert_allclose(validation.fields["boxes"], [[12, 5, 18, 15]], atol=1e-5)
    assert validation.fields["box_labels"] == ["bolt"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 0.5 0.5 0.2 0.5", "has class 2, but there are 2 classes"),
        ("nut 0.5 0.5 0.2 0.5", "is not a class and numbers"),
        ("0 0.5 0.5 0.2", "has 3 numbers"),
        ("0 0.9 0.5 0.5 0.5", "extends beyond"),
        ("0 0.5 0.5 -0.1 0.5", "negative width"),
        ("0.5 0.5 0.5 0.2 0.5", "has class 0.5"),
        ("0 0.5 0.5 0.2 0.5 1.2", "in the place of the confidence"),
    ],
)
def test_a_wrong_line_refuses_its_image(save, tmp_path, line, reason):
    save("classes.txt", "nut\nbolt\n"), save("images/1.jpg"), save("labels/1.txt", line)
    (bad,) = read(tmp_path)
    assert reason in bad.reason


def test_a_class_may_be_a_decimal_and_a_box_have_a_confidence(save, tmp_path):
    save("classes.txt", "nut\nbolt\n"), save("images/1.jpg")
    save("labels/1.txt", "1.0 0.5 0.5 0.2 0.5 0.97\n")
    (row,) = read(tmp_path)
    assert row.fields["box_labels"] == ["bolt"]
    np.testing.assert_allclose(row.fields["boxes"], [[12, 5, 18, 15]], atol=1e-5)


@pytest.mark.parametrize("stem", ["Capture_d%C3%A9cran%201", unicodedata.normalize("NFD", "é 1")])
def test_a_text_file_whose_name_is_spelt_otherwise_belongs_to_its_image(save, tmp_path, stem):
    plain = unicodedata.normalize("NFC", unquote(stem))
    save("classes.txt", "nut\nbolt\n"), save(f"images/{plain}.jpg")
    save(f"labels/{stem}.txt", "1 0.5 0.5 0.2 0.5")
    (row,) = read(tmp_path)
    assert row.fields["box_labels"] == ["bolt"]


def test_a_text_file_of_no_image_is_counted(save, tmp_path):
    save("classes.txt", "nut\nbolt\n"), save("images/1.jpg"), save("labels/1.txt", "")
    save("labels/2.txt", "1 0.5 0.5 0.2 0.5"), save("labels/classes.txt", "nut\n")
    counts = ReadingCounts()
    reading = DetectImages()
    list(
        read_images(
            [str(tmp_path)],
            reading,
            annotation_kinds={"boxes"},
            labelled=True,
            note=print,
            counts=counts,
        )
    )
    assert counts.examples[ORPHAN_FILES] == ["labels/2.txt"]


def test_numbers_without_names_are_refused(save, tmp_path):
    save("images/1.jpg"), save("labels/1.txt", "0 0.5 0.5 0.2 0.5")
    (bad,) = read(tmp_path)
    assert "--classes FILE" in bad.reason


def test_polygons_are_boxes_and_masks(save, tmp_path):
    save("classes.txt", "nut\nbolt\n"), save("images/1.jpg")
    save("labels/1.txt", "1 0.2 0.25 0.8 0.25 0.8 0.75 0.2 0.75")
    (row,) = read(tmp_path)
    np.testing.assert_allclose(row.fields["boxes"], [[6, 5, 24, 15]], atol=1e-5)
    (row,) = read(tmp_path, SegmentImages(), frozenset(("mask",)))
    assert mask_names(row.fields["mask"]) == ("background", "nut", "bolt")
    assert decode_mask(row.fields["mask"])[10, 15] == 2


@pytest.mark.parametrize(
    "yaml",
    [
        "path: ../data\ntrain: a/images\nval: b/images\nnames: [nut]\n",
        "train: ../a/images\nval: /content/data/b/images\nnames: [nut]\n",
        "train: [a/images]\nval: lists/held.txt\nnames: [nut]\n",
    ],
)
def test_a_data_yaml_names_the_splits(save, tmp_path, yaml):
    save("data.yaml", yaml), save("lists/held.txt", "./b/images/2.jpg\n")
    for name in ("a/{}/1", "b/{}/2"):
        save(f"{name.format('images')}.jpg"), save(f"{name.format('labels')}.txt", "")
    assert [row.split for row in read(tmp_path)] == ["train", "validation"]


def test_lists_of_images_name_the_splits(save, tmp_path):
    """As CVAT and Darknet write them."""
    save("obj.names", "nut\n"), save("train.txt", "data/obj_train_data/1.jpg\n")
    save("valid.txt", "data\\obj_train_data\\2.jpg\n")
    for number in (1, 2):
        save(f"obj_train_data/{number}.jpg"), save(f"obj_train_data/{number}.txt", "")
    assert [row.split for row in read(tmp_path)] == ["train", "validation"]


def test_key_points_behind_a_box_are_no_polygon(save, tmp_path):
    save("data.yaml", "kpt_shape: [2, 2]\nnames: [nut]\n"), save("images/1.jpg")
    save("labels/1.txt", "\ufeff0 0.5 0.5 0.2 0.5 0.9 0.9 0.1 0.1\n")
    (row,) = read(tmp_path)
    np.testing.assert_allclose(row.fields["boxes"], [[12, 5, 18, 15]], atol=1e-5)


def test_files_in_a_folder_elsewhere_belong_to_images_by_the_folders_that_agree(save, tmp_path):
    save("in/images/train/1.jpg"), save("in/images/val/1.jpg"), save("classes.txt", "nut\nbolt\n")
    save("more/train/1.txt", "0 .5 .5 .2 .5"), save("more/val/1.txt", "1 .5 .5 .2 .5")
    told = {"annotations": str(tmp_path / "more"), "classes": str(tmp_path / "classes.txt")}
    rows = read(tmp_path / "in", DetectImages(**told))
    assert [row.fields["box_labels"] for row in rows] == [["nut"], ["bolt"]]


def test_one_file_in_a_folder_elsewhere_is_not_that_of_two_images(save, tmp_path):
    save("in/a/1.jpg"), save("in/b/1.jpg"), save("more/1.txt", "0 .5 .5 .2 .5")
    save("more/classes.txt", "nut\n")
    rows = read(tmp_path / "in", DetectImages(annotations=str(tmp_path / "more")))
    assert all("it has no boxes" in row.reason for row in rows)


def test_a_stray_point_next_to_polygons_costs_no_mask(save, tmp_path):
    save("classes.txt", "nut\n"), save("images/1.jpg")
    save("labels/1.txt", "0 0.2 0.25 0.8 0.25 0.8 0.75 0.2 0.75\n0 0.5 0.5\n")
    (row,) = read(tmp_path, SegmentImages(), frozenset(("mask",)))
    assert decode_mask(row.fields["mask"])[10, 15] == 1


def test_a_class_to_ignore_that_is_none_is_counted(save, tmp_path):
    save("classes.txt", "nut\nbolt\n"), save("images/1.jpg")
    save("labels/1.txt", "0 0.5 0.5 0.2 0.5\n1 0.5 0.5 0.2 0.5")
    (row,) = read(tmp_path, DetectImages(ignore=["nut", "void"]))
    assert row.fields["box_labels"] == ["bolt"]
    counts = ReadingCounts()
    source = {"annotation_kinds": {"boxes"}, "labelled": True, "note": print, "counts": counts}
    list(read_images([str(tmp_path)], DetectImages(ignore=["nutt", "void"]), **source))
    assert counts.examples[UNKNOWN_IGNORED] == ["nutt"]
