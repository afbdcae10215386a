"""Pascal VOC folders: XML, lists of splits, masks."""

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.masks import decode_mask
from aitk.vision.data.formats.voc import parse_voc
from aitk.vision.data.options import DetectImages, SegmentImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import LISTED_MISSING, UNLISTED, ReadingCounts


def xml(*objects, size="<size><width>30</width><height>20</height></size>"):
    things = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin>"
        f"<ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d, difficult in objects
    )
    return f"<annotation>{size}{things}</annotation>"


def read(path, counts=None, **told):
    return list(
        read_images(
            [str(path)],
            DetectImages(**told),
            annotation_kinds={"boxes"},
            labelled=True,
            note=print,
            counts=counts,
        )
    )


def test_lists_name_the_splits(save, tmp_path):
    for stem in "abc":
        save(f"JPEGImages/{stem}.jpg")
        save(f"Annotations/{stem}.xml", xml(("nut", 1, 1, 30, 20, 0)))
    save("ImageSets/Main/train.txt", "a\n"), save("ImageSets/Main/val.txt", "b\n")
    counts = ReadingCounts()
    rows = read(tmp_path, counts)
    assert [(row.fields["name"], row.split) for row in rows] == [
        ("JPEGImages/a.jpg", "train"),
        ("JPEGImages/b.jpg", "validation"),
    ]
    assert counts.examples[UNLISTED] == ["JPEGImages/c.jpg"]


def test_pixels_are_numbered_from_one(save, tmp_path):
    save("a.jpg"), save("a.xml", xml(("nut", 1, 1, 30, 20, 0), ("bolt", 3, 4, 5, 6, 1)))
    (row,) = read(tmp_path)
    assert row.fields["boxes"].tolist() == [[0, 0, 30, 20], [2, 3, 5, 6]]
    assert row.fields["crowd"] == [0, 1]


def test_the_folder_of_annotations_may_be_named(save, tmp_path):
    save("in/a.jpg"), save("elsewhere/a.xml", xml(("nut", 1, 1, 9, 9, 0)))
    (row,) = read(tmp_path / "in", annotations=str(tmp_path / "elsewhere"))
    assert row.fields["box_labels"] == ["nut"]


def test_an_image_without_xml_and_a_broken_one(save, tmp_path):
    save("a.jpg"), save("b.jpg"), save("b.xml", "<annotation>")
    bare, broken = read(tmp_path)
    assert "it has no boxes" in bare.reason
    assert "is not valid XML" in broken.reason


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><annotation/>',
        "<annotation".encode("utf-16"),
        b"<annotation>\0</annotation>",
        b"<annotation><object><name>x</name></object></annotation>",
        b"",
    ],
)
def test_hostile_or_wrong_xml_is_refused(content):
    with pytest.raises(DataError):
        parse_voc(content)


def test_masks_lie_in_segmentation_class(save, tmp_path):
    save("JPEGImages/a.jpg"), save("SegmentationObject/a.png", np.ones((20, 30), np.uint8))
    save("SegmentationClass/a.png", np.full((20, 30), 2, np.uint8))
    save("ImageSets/Segmentation/val.txt", "a\n"), save("ImageSets/Main/train.txt", "a\n")
    (row,) = read_images(
        [str(tmp_path)],
        SegmentImages(),
        annotation_kinds={"mask"},
        labelled=True,
        note=print,
    )
    assert row.split == "validation"
    assert (decode_mask(row.fields["mask"]) == 2).all()


def test_lists_may_have_endings_marks_and_spaces_and_name_what_is_missing(save, tmp_path):
    save("JPEGImages/a b.jpg"), save("JPEGImages/c.jpg")
    for name in ("a b", "c"):
        save(f"Annotations/{name}.xml", "<annotation/>")
    save("ImageSets/Main/train.txt", "\ufeffa b.jpg\nc  1\nd\n")
    counts = ReadingCounts()
    rows = read(tmp_path, counts)
    assert [row.split for row in rows] == ["train", "train"]
    assert counts.examples[LISTED_MISSING] == ["d"]


def test_xml_in_utf_16_is_read():
    text = '<?xml version="1.0" encoding="utf-16"?>' + xml(("é", 1, 1, 5, 5, 0))
    assert parse_voc(text.encode("utf-16"))[0].labels == ("é",)


def test_a_document_type_in_utf_16_is_refused():
    with pytest.raises(DataError, match="document type"):
        parse_voc("<!DOCTYPE a><annotation/>".encode("utf-16"))
