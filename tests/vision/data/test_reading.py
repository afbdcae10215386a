"""Folders, single files and patterns of images, and what is refused of them."""

import struct

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.io.images import decode_image
from aitk.vision.data.options import ClassifyImages, DetectImages, UnlabelledImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import LINKS, OUTSIDE_SPLITS, UNNAMED_IMAGES, ReadingCounts


def read(source, *, annotation_kinds=("label",), labelled=True, note=print, counts=None, **told):
    reading = ClassifyImages if "label" in annotation_kinds else UnlabelledImages
    return list(
        read_images(
            [str(source)],
            reading(**told),
            annotation_kinds=frozenset(annotation_kinds),
            labelled=labelled,
            note=note,
            counts=counts,
        )
    )


def labels(rows):
    return [row.fields["label"] for row in rows]


def test_a_folder_is_a_label(save, tmp_path):
    save("cat/1.png"), save("cat/2.jpg"), save("dog/1.png")
    rows = read(tmp_path)
    assert labels(rows) == ["cat", "cat", "dog"]
    assert rows[0].fields["image"] == (tmp_path / "cat/1.png").read_bytes()
    assert [row.fields["name"] for row in rows] == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    assert (rows[0].fields["height"], rows[0].fields["width"]) == (20, 30)
    assert (rows[0].file, rows[0].split) == (str(tmp_path / "cat/1.png"), None)


def test_a_folder_names_the_split(save, tmp_path):
    for name in ("train/cat/1.png", "val/cat/1.png", "test/dog/1.png"):
        save(name)
    rows = read(tmp_path)
    assert [(row.split, row.fields["label"]) for row in rows] == [
        ("test", "dog"),
        ("train", "cat"),
        ("validation", "cat"),
    ]


def test_folders_side_by_side_name_the_splits_in_words_of_their_own(save, tmp_path):
    inner = "test_set/test_set/cat/3"  # as Kaggle's archives are unpacked
    for name in ("training_set/cat/1", "training_set/dog/2", inner, "pred/4"):
        save(f"{name}.png")
    counts = ReadingCounts()
    rows = read(tmp_path, counts=counts)
    assert [(row.split, row.fields["label"]) for row in rows] == [
        ("test", "cat"),
        ("train", "cat"),
        ("train", "dog"),
    ]
    assert counts.examples[OUTSIDE_SPLITS] == ["pred/4.png"]


def test_classes_may_have_words_of_splits_in_their_names(save, tmp_path):
    for name in ("train station/1", "test tube/2", "cat/3", "dog/4"):
        save(f"{name}.png")
    assert {(row.split, row.fields["label"]) for row in read(tmp_path)} == {
        (None, "train station"),
        (None, "test tube"),
        (None, "cat"),
        (None, "dog"),
    }


def test_folders_that_all_share_are_no_part_of_a_label(save, tmp_path):
    save("shapes/v1/round/a/1.png"), save("shapes/v1/square/1.png")
    assert labels(read(tmp_path)) == ["round/a", "square"]


def test_a_folder_of_images_alone_is_itself_the_label(save, tmp_path):
    save("cat/1.png")
    assert labels(read(tmp_path / "cat")) == ["cat"]


def test_images_to_predict_carry_their_name(save, tmp_path):
    save("in/b.png"), save("in/a.png")
    rows = read(tmp_path / "in", labelled=False)
    assert [row.record for row in rows] == [{"image": "a.png"}, {"image": "b.png"}]
    assert set(rows[0].fields) == {"image", "name", "height", "width"}


def test_one_file_and_a_pattern(save, tmp_path):
    save("in/a.png"), save("in/b.png"), save("in/c.jpg")
    assert len(read(tmp_path / "in/a.png", labelled=False)) == 1
    assert len(read(tmp_path / "in/*.png", labelled=False)) == 2
    with pytest.raises(DataError, match="matches no file"):
        read(tmp_path / "in/*.webp", labelled=False)


def test_a_truncated_image_is_refused(save, tmp_path, painted):
    save("cat/1.jpg", painted(suffix=".jpg")[:-30])
    save("cat/2.jpg")
    bad, good = read(tmp_path)
    assert isinstance(good, Row)
    assert bad == Refusal(str(tmp_path / "cat/1.jpg"), 1, "is damaged or truncated")


def test_what_is_missing_in_the_middle_of_a_jpeg_is_noticed(save, tmp_path):
    noise = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8), (9, 9), 3
    )
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    save("cat/1.jpg", data[: len(data) // 2] + data[-2:])  # it ends as it should
    (bad,) = read(tmp_path)
    assert bad.reason == "is damaged or truncated"


def gif(images):
    """A GIF of so many images of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + one * images + b"\x3b"


def test_an_animated_image_is_refused_and_a_still_gif_becomes_png(save, tmp_path):
    save("cat/1.gif", gif(2)), save("cat/2.gif", gif(1))
    bad, good = read(tmp_path)
    assert "animated" in bad.reason
    assert good.fields["image"].startswith(b"\x89PNG")


def test_a_header_of_gigabytes_is_refused(save, tmp_path):
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    save("cat/1.png", head + bytes(40))
    (bad,) = read(tmp_path)
    assert "60000 x 60000 pixels" in bad.reason


def test_a_label_that_classes_does_not_list_is_refused(save, tmp_path):
    save("in/cat/1.png"), save("in/cow/1.png")
    rows = read(tmp_path / "in", classes=str(save("names.txt", "cat\ndog\n")))
    assert labels(rows[:1]) == ["cat"]
    assert rows[1].reason == "its label 'cow' is not in --classes"


def test_an_image_without_a_label_is_refused(save, tmp_path):
    save("in/cat/1.png"), save("in/2.png")
    bad, good = read(tmp_path / "in")
    assert isinstance(good, Row)
    assert bad.reason == "no folder or table gives its label"


def test_large_images_are_shrunk(save, tmp_path):
    (
        save("cat/1.png", height=40, width=80),
        save("cat/2.jpg", height=40, width=80),
        save("cat/3.png"),
    )
    rows = read(tmp_path, largest_side=32)
    assert [(row.fields["height"], row.fields["width"]) for row in rows] == [
        (16, 32),
        (16, 32),
        (20, 30),
    ]
    assert decode_image(rows[1].fields["image"], "").shape == (16, 32, 3)
    assert rows[1].fields["image"].startswith(b"\xff\xd8")
    assert rows[2].fields["image"] == (tmp_path / "cat/3.png").read_bytes()


def test_a_folder_without_images_is_reported(save, tmp_path):
    save("notes.txt", "nothing here")
    with pytest.raises(DataError, match="holds no image"):
        read(tmp_path)


def test_a_link_to_the_outside_is_followed_only_on_request(save, tmp_path):
    save("more/2.png"), save("in/cat/1.png")
    (tmp_path / "in/cat/2.png").symlink_to(tmp_path / "more/2.png")
    (tmp_path / "in/dog").symlink_to(tmp_path / "more")
    (tmp_path / "in/cat/3.png").symlink_to("nowhere.png")
    counts = ReadingCounts()
    assert len(read(tmp_path / "in", counts=counts)) == 1
    assert counts.examples[LINKS] == ["dog", "cat/2.png", "cat/3.png"]
    assert len(read(tmp_path / "in", outside=True)) == 3


def test_a_linked_folder_is_read_and_a_loop_is_not_followed(save, tmp_path):
    save("in/.cache/1.png")
    (tmp_path / "in/cat").symlink_to(tmp_path / "in/.cache")
    (tmp_path / "in/dog").mkdir()
    (tmp_path / "in/dog/loop").symlink_to(tmp_path / "in")
    (row,) = read(tmp_path / "in")
    assert row.fields["name"] == "cat/1.png"


def test_unused_files_are_counted_by_kind(save, tmp_path):
    save("in/cat/1.png"), save("in/cat/2.heic", "x"), save("in/cat/3.jpg_large", "x")
    save("in/README.md", "x"), save("in/cat/Thumbs.db", "x")
    counts = ReadingCounts()
    read(tmp_path / "in", counts=counts)
    assert {kind.check: counts.examples[kind] for kind in counts.counts} == {
        "images of other kinds": ["cat/2.heic"],
        "files of unknown kind": ["cat/3.jpg_large"],
        "other files": ["README.md", "cat/Thumbs.db"],
    }


def test_images_that_no_table_names_are_counted(save, tmp_path):
    save("in/1.png"), save("in/2.png"), save("in/rows.csv", "image,label\n1.png,cat\n")
    counts = ReadingCounts()
    assert len(read(tmp_path / "in", counts=counts)) == 1
    assert counts.examples[UNNAMED_IMAGES] == ["2.png"]


def test_boxes_of_an_image_on_its_side_are_refused(save, tmp_path):
    """They were drawn before EXIF turned it."""
    image = cv2.imencode(".jpg", np.full((20, 30, 3), 90, np.uint8))[1].tobytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)  # orientation 6: turn right
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    save(
        "in/1.jpg",
        image[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + image[2:],
    )
    save(
        "in/1.xml",
        "<annotation><size><width>30</width><height>20</height></size></annotation>",
    )
    (bad,) = read_images(
        [str(tmp_path / "in")],
        DetectImages(),
        annotation_kinds={"boxes"},
        labelled=True,
        note=print,
    )
    assert "gives the size 30 x 20, but the upright image has 20 x 30" in bad.reason
    assert "EXIF orientation" in bad.reason
