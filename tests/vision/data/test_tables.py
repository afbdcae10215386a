"""Tables that name images: labels, boxes and masks in their columns."""

import io
import json
import sys

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.vision.data.options import ClassifyImages, DetectImages, MultitaskImages
from aitk.vision.data.quality.box_checks import make_boxes
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import UNKNOWN_SPLITS, ReadingCounts

ALL = frozenset(("label", "boxes", "mask"))


def read(path, reading=None, *, annotation_kinds, labelled=True):
    return list(
        read_images(
            [str(path)],
            reading or ClassifyImages(),
            annotation_kinds=annotation_kinds,
            labelled=labelled,
            note=print,
        )
    )


def test_paths_begin_at_the_table(save, tmp_path):
    save("in/p/1.png"), save("in/p/2.png")
    table = save("in/rows.csv", "file,class,split\np/1.png,cat,train\np/2.png,dog,val\n")
    rows = read(table, annotation_kinds={"label"})
    assert [(row.fields["label"], row.split, row.line) for row in rows] == [
        ("cat", "train", 2),
        ("dog", "validation", 3),
    ]
    assert read(tmp_path / "in", annotation_kinds={"label"})[0].fields == rows[0].fields


def test_a_missing_file_and_one_outside_are_refused(save):
    save("secret.png"), save("in/1.png")
    table = save("in/rows.csv", "file,label\n2.png,a\n../secret.png,a\n1.png,a\n1.png,\n")
    missing, outside, good, bare = read(table, annotation_kinds={"label"})
    assert missing == Refusal(str(table), 2, "there is no file 2.png")
    assert "--outside allows it" in outside.reason
    assert good.fields["label"] == "a"
    assert bare.reason == "1.png: no folder or table gives its label"
    allowed = read(table, ClassifyImages(outside=True), annotation_kinds={"label"})
    assert allowed[1].fields["name"] == "../secret.png"


def test_boxes_as_a_list_in_a_cell(save):
    save("1.png")
    boxes = json.dumps([{"label": "nut", "box": [1, 2, 10, 12], "crowd": 1}])
    table = save("rows.tsv", f"image\tboxes\n1.png\t{boxes}\n1.png\t[]\n1.png\t\n")
    one, none, unknown = read(table, DetectImages(), annotation_kinds={"boxes"})
    np.testing.assert_array_equal(one.fields["boxes"], np.float32([[1, 2, 10, 12]]))
    assert (one.fields["box_labels"], one.fields["crowd"]) == (["nut"], [1])
    assert none.fields["boxes"].shape == (0, 4)
    assert "it has no boxes" in unknown.reason


def test_one_box_a_row_is_gathered(save):
    save("1.png"), save("2.png")
    table = save(
        "rows.csv",
        "filename,class,xmin,ymin,xmax,ymax\n1.png,nut,0,0,5,5\n2.png,,,,,\n1.png,bolt,5,5,9,9\n",
    )
    first, second = read(table, DetectImages(), annotation_kinds={"boxes"})
    assert first.fields["box_labels"] == ["nut", "bolt"]
    assert first.fields["boxes"].tolist() == [[0, 0, 5, 5], [5, 5, 9, 9]]
    assert second.fields["box_labels"] == []


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([5, 5, 4, 9], "box 1 (nut: 5, 5, 4, 9) has no area"),
        ([0, 0, 32, 9], "box 1 (nut: 0, 0, 32, 9) extends beyond the image of 30 x 20"),
        ([0, 0, "x", 9], "box 1 (nut) is not four numbers"),
        ([0, 0, float("nan"), 9], "is not four numbers"),
    ],
)
def test_a_box_that_cannot_be_refuses_its_image(save, box, reason):
    save("1.png")
    boxes = [{"label": "nut", "box": box}]
    table = save("rows.jsonl", json.dumps({"image": "1.png", "boxes": boxes}) + "\n")
    (bad,) = read(table, DetectImages(), annotation_kinds={"boxes"})
    assert reason in bad.reason


def test_a_pixel_outside_is_clipped(save):
    save("1.png")
    boxes = [{"label": "nut", "box": [-1, -0.5, 31, 20.9]}]
    table = save("rows.jsonl", json.dumps({"image": "1.png", "boxes": boxes}) + "\n")
    (row,) = read(table, DetectImages(), annotation_kinds={"boxes"})
    assert row.fields["boxes"].tolist() == [[0, 0, 30, 20]]


def test_ignored_classes_and_too_many_boxes(save):
    save("1.png")
    boxes = [{"label": name, "box": [0, 0, 5, 5]} for name in ("nut", "void", "nut")]
    table = save("rows.jsonl", json.dumps({"image": "1.png", "boxes": boxes}) + "\n")
    (row,) = read(table, DetectImages(), annotation_kinds={"boxes"})
    assert row.fields["box_labels"] == ["nut", "nut"]
    (bad,) = read(table, DetectImages(max_boxes=1), annotation_kinds={"boxes"})
    assert "2 boxes, more than --max-boxes 1" in bad.reason


def test_rows_with_any_subset_of_annotations(save):
    save("1.png"), save("m.png", np.ones((20, 30), np.uint8))
    lines = [
        {"image": "1.png", "label": "cat"},
        {"image": "1.png", "boxes": []},
        {"image": "1.png", "mask": "m.png"},
        {"image": "1.png"},
    ]
    table = save("rows.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    label, boxes, mask, nothing = read(table, MultitaskImages(), annotation_kinds=ALL)
    assert (label.fields["label"], label.fields["boxes_known"], label.fields["mask"]) == (
        "cat", 0, b"",
    )  # fmt: skip
    assert (boxes.fields["label"], boxes.fields["boxes_known"]) == ("", 1)
    assert mask.fields["mask"].startswith(b"\x89PNG")
    assert isinstance(nothing, Refusal)


def test_rows_to_predict_keep_their_record(save):
    save("1.png")
    table = save("rows.csv", "id,image\n7,1.png\n")
    (row,) = read(table, annotation_kinds={"label"}, labelled=False)
    assert row.record == {"id": "7", "image": "1.png"}


def test_a_table_on_stdin(save, tmp_path, monkeypatch):
    save("1.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"image": "1.png"}\n')))
    (row,) = read("-", annotation_kinds={"label"}, labelled=False)
    assert row.fields["name"] == "1.png"


def test_a_table_without_required_columns_is_reported(save):
    table = save("rows.csv", "file,colour\n1.png,red\n")
    with pytest.raises(DataError, match="which column is the label"):
        read(table, annotation_kinds={"label"})
    with pytest.raises(DataError, match="no column has boxes"):
        read(table, DetectImages(), annotation_kinds={"boxes"})


def test_a_word_for_a_missing_label_is_refused_unless_it_is_a_name(save):
    save("1.png"), save("2.png")
    table = save("rows.csv", "image,label\n1.png,NULL\n2.png,cat\n")
    bad, row = read(table, annotation_kinds={"label"})
    assert "--keep-na" in bad.reason
    assert row.fields["label"] == "cat"
    kept, _ = read(table, ClassifyImages(keep_na=True), annotation_kinds={"label"})
    assert kept.fields["label"] == "NULL"


def test_labels_that_differ_in_invisible_characters_are_one(save):
    save("1.png"), save("2.png")
    table = save("rows.csv", "image,label\n1.png,cat\u200b\n2.png,cat\n")
    assert [row.fields["label"] for row in read(table, annotation_kinds={"label"})] == [
        "cat",
        "cat",
    ]


def test_a_split_that_is_none_is_counted(save):
    save("1.png"), save("2.png")
    table = save("rows.csv", "image,label,split\n1.png,cat,fold 3\n2.png,dog,Val\n")
    counts = ReadingCounts()
    rows = list(
        read_images(
            [str(table)],
            ClassifyImages(),
            annotation_kinds={"label"},
            labelled=True,
            note=print,
            counts=counts,
        )
    )
    assert [row.split for row in rows] == [None, "validation"]
    assert counts.counts[UNKNOWN_SPLITS] == 1


@pytest.mark.parametrize(("crowd", "expected"), [(["0", "1"], [0, 1]), ([False, 1.0], [0, 1])])
def test_crowd_may_be_given_in_words(crowd, expected):
    assert make_boxes([[0, 0, 1, 1]] * 2, ["a", "b"], crowd).crowd == tuple(expected)
