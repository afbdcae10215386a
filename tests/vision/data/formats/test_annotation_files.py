"""Annotations of labelme, CVAT and Label Studio, and reports on unread ones."""

import json

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.data.options import DetectImages, SegmentImages
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import NO_AREA, ReadingCounts

CORNERS = [[2, 2], [10, 2], [10, 8], [2, 8]]


def boxes(source, counts=None):
    return list(
        read_images(
            [str(source)],
            DetectImages(),
            annotation_kinds={"boxes"},
            labelled=True,
            note=print,
            counts=counts,
        )
    )


def masks(source):
    return list(
        read_images(
            [str(source)],
            SegmentImages(),
            annotation_kinds={"mask"},
            labelled=True,
            note=print,
        )
    )


def labelme(*shapes, image="1.png", size=(20, 30)):
    return json.dumps(
        {
            "version": "5.0.1",
            "shapes": [
                {"label": label, "shape_type": kind, "points": points}
                for label, kind, points in shapes
            ],
            "imagePath": image,
            "imageData": None,
            "imageHeight": size[0],
            "imageWidth": size[1],
        }
    )


def cvat(*shapes, name="1.png", subset="Train"):
    image = f'<image id="0" name="{name}" subset="{subset}" width="30" height="20">'
    return f"<annotations><version>1.1</version>{image}{''.join(shapes)}</image></annotations>"


CVAT_BOX = '<box label="bolt" xtl="2.0" ytl="2.0" xbr="10.0" ybr="8.0"></box>'
CVAT_POLYGON = '<polygon label="nut" points="2,2;10,2;10,8;2,8"></polygon>'


def studio(kind, **value):
    """A shape in percents of an image of 30 x 20."""
    return {"original_width": 30, "original_height": 20, kind: ["bolt"], "rotation": 0, **value}


STUDIO_BOX = {"x": 20 / 3, "y": 10, "width": 80 / 3, "height": 30}


def test_labelme_files_next_to_their_images(save, tmp_path):
    save("in/1.png"), save("in/2.png")
    save("in/1.json", labelme(("bolt", "rectangle", [[10, 8], [2, 2]])))
    save("in/2.json", labelme(("nut", "polygon", CORNERS), image="..\\old\\name.png"))
    first, second = boxes(tmp_path / "in")
    assert first.fields["boxes"].tolist() == second.fields["boxes"].tolist() == [[2, 2, 10, 8]]
    assert first.fields["box_labels"] + second.fields["box_labels"] == ["bolt", "nut"]


def test_labelme_polygons_and_circles_are_masks(save, tmp_path):
    save("in/1.png")
    circle = ("nut", "circle", [[20, 10], [24, 10]])
    save("in/1.json", labelme(("bolt", "polygon", CORNERS), circle))
    (row,) = masks(tmp_path / "in")
    mask = decode_mask(row.fields["mask"])
    assert mask_names(row.fields["mask"]) == ("background", "bolt", "nut")
    assert (mask == 1).sum() == 8 * 6
    assert abs(int((mask == 2).sum()) - np.pi * 16) < 4


def test_a_wrong_file_refuses_its_image_alone(save, tmp_path):
    save("in/1.png"), save("in/2.png")
    path = save("in/1.json", labelme(("bolt", "rectangle", [["x", 8], [2, 2]])))
    save("in/2.json", labelme(("nut", "polygon", CORNERS), image="2.png"))
    bad, row = boxes(tmp_path / "in")
    assert bad.reason == "has a shape whose points are not pairs of numbers"
    assert bad.file == str(path)
    assert row.fields["box_labels"] == ["nut"]


def test_a_damaged_file_refuses_its_image_alone(save, tmp_path):
    save("in/1.png"), save("in/1.json", '{"imagePath": "1.png", "shapes": [')
    save("in/2.png"), save("in/2.json", labelme(("nut", "polygon", CORNERS), image="2.png"))
    bad, row = boxes(tmp_path / "in")
    assert "is not valid JSON" in bad.reason
    assert row.fields["box_labels"] == ["nut"]


@pytest.mark.parametrize(
    "task",
    [
        {"annotations": 5, "label": [{"rectanglelabels": 5}]},
        {"annotations": [{"result": 5}], "image": 5},
        {"image": "1.png", "label": [{"polygonlabels": ["a"], "points": 5, "original_width": 3}]},
        {"image": "1.png", "label": [{"ellipselabels": ["a"], "x": None, "rotation": "x"}]},
    ],
)
def test_hostile_exports_are_refused(save, tmp_path, task):
    good = {"image": "1.png", "label": [studio("rectanglelabels", **STUDIO_BOX)]}
    save("in/1.png"), save("in/export.json", json.dumps([task, good]))
    bad, row = boxes(tmp_path / "in")
    assert isinstance(bad, Refusal)
    assert row.fields["box_labels"] == ["bolt"]


def test_shapes_without_area_are_counted(save, tmp_path):
    save("in/1.png")
    save("in/1.json", labelme(("bolt", "rectangle", CORNERS[::2]), ("tip", "point", [[3, 3]])))
    counts = ReadingCounts()
    (row,) = boxes(tmp_path / "in", counts)
    assert row.fields["box_labels"] == ["bolt"]
    assert counts.counts[NO_AREA] == 1


def test_cvat_annotations_have_boxes_polygons_and_splits(save, tmp_path):
    save("in/images/1.png"), save("in/annotations.xml", cvat(CVAT_BOX, CVAT_POLYGON))
    (row,) = boxes(tmp_path / "in")
    assert row.split == "train"
    assert row.fields["boxes"].tolist() == [[2, 2, 10, 8]] * 2
    assert row.fields["box_labels"] == ["bolt", "nut"]
    (row,) = masks(tmp_path / "in")
    assert (decode_mask(row.fields["mask"]) > 0).sum() == 8 * 6


def test_a_turned_box_is_the_box_around_it(save, tmp_path):
    save("in/1.png")
    turned = '<box label="bolt" xtl="6" ytl="4" xbr="14" ybr="8" rotation="90"></box>'
    save("in/annotations.xml", cvat(turned))
    (row,) = boxes(tmp_path / "in/annotations.xml")
    np.testing.assert_allclose(row.fields["boxes"], [[8, 2, 12, 10]], atol=1e-5)


def test_a_cvat_file_of_a_video_names_the_export_to_choose(save, tmp_path):
    save("in/1.png"), save("in/annotations.xml", "<annotations><track/></annotations>")
    with pytest.raises(DataError) as refused:
        boxes(tmp_path / "in")
    assert "CVAT for images 1.1" in refused.value.hint


@pytest.mark.parametrize(
    "task",
    [
        {"image": "/data/upload/1/1.png", "label": [studio("rectanglelabels", **STUDIO_BOX)]},
        {"image": "/data/local-files/?d=x/1.png", "l": [studio("rectanglelabels", **STUDIO_BOX)]},
        {
            "data": {"img": "s3://bucket/90fbb0c7-1.png"},
            "annotations": [
                {"was_cancelled": True, "result": []},
                {
                    "result": [
                        {
                            "original_width": 30,
                            "original_height": 20,
                            "value": {"rectanglelabels": ["bolt"], **STUDIO_BOX},
                        }
                    ]
                },
            ],
        },
        {
            "image": "1.png",
            "label": [
                studio("polygonlabels", points=[[x * 10 / 3, y * 5] for x, y in CORNERS]),
            ],
        },
    ],
    ids=["min", "local files", "full", "polygon"],
)
def test_label_studio_exports(save, tmp_path, task):
    save("in/images/1.png"), save("in/export.json", json.dumps([task]))
    (row,) = boxes(tmp_path / "in")
    np.testing.assert_allclose(row.fields["boxes"], [[2, 2, 10, 8]], atol=1e-4)
    assert row.fields["box_labels"] == ["bolt"]


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("via.json", '{"a": {"regions": [{"shape_attributes": {}, "region_attributes": {}}]}}',
         "VIA"),
        ("1.png.json", '{"objects": [{"classTitle": "a", "geometryType": "bitmap"}]}',
         "Supervisely"),
        ("captions.json", '{"images": [], "annotations": []}', "COCO without categories"),
        ("train.tfrecord", "x", "TFRecord"),
    ],
)  # fmt: skip
def test_files_of_other_tools_are_named(save, tmp_path, name, content, tool):
    save("in/1.png"), save(f"in/{name}", content)
    with pytest.raises(DataError, match=f"is {tool}, which is not supported"):
        boxes(tmp_path / "in")


def test_a_table_of_json_lines_is_no_annotation_file(save):
    save("1.png")
    line = {"image": "1.png", "boxes": [[2, 2, 10, 8]], "box_labels": ["nut"]}
    (row,) = boxes(save("rows.json", f"{json.dumps(line)}\n\n"))
    assert row.fields["box_labels"] == ["nut"]


def test_json_that_annotates_nothing_does_not_matter(save, tmp_path):
    save("classes.txt", "nut\n"), save("images/1.jpg"), save("labels/1.txt", "0 .5 .5 .2 .5")
    save("settings.json", '{"lr": 1}'), save("via.json", '"shape_attributes" "region_attributes"')
    (row,) = boxes(tmp_path)
    assert row.fields["box_labels"] == ["nut"]
